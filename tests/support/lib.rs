//! What the tests stand on: real daemons, real Odoos, real sockets.
