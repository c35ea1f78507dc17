// An outsider: checks notes, tree and proofs of an export with golang.org/x/mod/sumdb, which knows nothing of us. What
// it knows of the layout is in FORMAT.md; none of it was taken from the verifiers.
//
//	outside VKEY EXPORT [N.tlog-proof…]
//
// VKEY is the root's key, EXPORT the folder of an export of a whole ledger. Prints what it found; the exit code is 1 for
// whatever does not fit.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const entryLen = 160

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: outside VKEY EXPORT [N.tlog-proof...]")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(pinned, export string, proofs []string) error {
	keys, err := follow(pinned, export)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(export, "checkpoint"))
	if err != nil {
		return err
	}
	newest, err := keys.checkpoint(text)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	tree, err := rebuild(export)
	if err != nil {
		return err
	}
	if err := tree.has(newest); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	older, err := filepath.Glob(filepath.Join(export, "checkpoints", "*"))
	if err != nil {
		return err
	}
	for _, path := range older {
		if err := tree.leadsFrom(path, keys, newest); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	for _, path := range proofs {
		if err := keys.proof(path); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	fmt.Printf("%d records, %d epochs, %d older checkpoints, %d proofs\n",
		newest.size, len(keys.epochs), len(older), len(proofs))
	return nil
}

// Keys of a ledger: the log's, under its name and each epoch's, by their names.
type keys struct {
	origin string
	log    note.Verifier
	epochs map[string]note.Verifier
}

// Follow goes from the pinned key to the log's, and from one epoch to the next.
func follow(pinned, export string) (*keys, error) {
	root, err := note.NewVerifier(pinned)
	if err != nil {
		return nil, fmt.Errorf("the pinned key: %w", err)
	}
	signed, err := os.ReadFile(filepath.Join(export, "node"))
	if err != nil {
		return nil, err
	}
	node, err := note.Open(signed, note.VerifierList(root))
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	lines := strings.Split(node.Text, "\n")
	if len(lines) != 4 || lines[0] != "nal/v1/node" {
		return nil, errors.New("node: not a node note")
	}
	signed, err = os.ReadFile(filepath.Join(export, "epochs"))
	if err != nil {
		return nil, err
	}
	found := &keys{epochs: map[string]note.Verifier{}}
	before := root
	for number, text := range strings.Split(string(signed), "nal/v1/epoch\n")[1:] {
		if before, err = found.epoch(number, "nal/v1/epoch\n"+text, lines[2], before); err != nil {
			return nil, fmt.Errorf("epoch %d: %w", number, err)
		}
	}
	return found, nil
}

func (k *keys) epoch(number int, text, log string, before note.Verifier) (note.Verifier, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 8 || lines[2] != strconv.Itoa(number) {
		return nil, errors.New("not the note that comes next")
	}
	if k.log == nil {
		k.origin = lines[1]
		var err error
		if k.log, err = renamed(log, k.origin); err != nil {
			return nil, err
		}
	}
	opened, err := note.Open([]byte(text), note.VerifierList(before, k.log))
	if err != nil {
		return nil, err
	}
	if len(opened.Sigs) != 2 || opened.Sigs[0].Name != before.Name() || lines[1] != k.origin {
		return nil, errors.New("not signed by the key before it and by the log")
	}
	own, err := note.NewVerifier(lines[5])
	if err != nil {
		return nil, err
	}
	k.epochs[own.Name()] = own
	return own, nil
}

// The same key under another name: in the node note it has the node's, elsewhere the ledger's.
func renamed(vkey, name string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	own, err := note.NewEd25519VerifierKey(name, key[1:])
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(own)
}

type checkpoint struct {
	size int64
	root tlog.Hash
}

func (k *keys) checkpoint(signed []byte) (*checkpoint, error) {
	known := []note.Verifier{k.log}
	for _, epoch := range k.epochs {
		known = append(known, epoch)
	}
	opened, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return nil, err
	}
	if len(opened.Sigs) != 2 || opened.Sigs[0].Name != k.origin || k.epochs[opened.Sigs[1].Name] == nil {
		return nil, errors.New("not signed by the log and an epoch")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != k.origin {
		return nil, errors.New("not a checkpoint of this ledger")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return nil, err
	}
	return &checkpoint{size, root}, nil
}

// All hashes of a tree, as tlog stores them.
type tree struct {
	hashes []tlog.Hash
	size   int64
}

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, 0, len(indexes))
	for _, index := range indexes {
		if index >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("there is no hash %d", index)
		}
		found = append(found, t.hashes[index])
	}
	return found, nil
}

// Rebuild makes the tree anew from the entries.
func rebuild(export string) (*tree, error) {
	paths, err := filepath.Glob(filepath.Join(export, "tile/entries/*"))
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob(filepath.Join(export, "tile/entries/*.p/*"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	found := &tree{}
	for _, path := range append(paths, more...) {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		bundle, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for ; len(bundle) > 0; bundle = bundle[2+entryLen:] {
			if len(bundle) < 2+entryLen || binary.BigEndian.Uint16(bundle) != entryLen {
				return nil, fmt.Errorf("%s: not a bundle of entries", path)
			}
			hashes, err := tlog.StoredHashes(found.size, bundle[2:2+entryLen], found)
			if err != nil {
				return nil, err
			}
			found.hashes = append(found.hashes, hashes...)
			found.size++
		}
	}
	return found, nil
}

func (t *tree) has(it *checkpoint) error {
	if it.size > t.size {
		return fmt.Errorf("of size %d, and there are %d entries", it.size, t.size)
	}
	root, err := tlog.TreeHash(it.size, t)
	if err != nil {
		return err
	}
	if root != it.root {
		return fmt.Errorf("another root than that of the %d entries", it.size)
	}
	return nil
}

// LeadsFrom checks an older checkpoint, and that the newest one is the same tree, grown.
func (t *tree) leadsFrom(path string, k *keys, newest *checkpoint) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	older, err := k.checkpoint(text)
	if err != nil {
		return err
	}
	if err := t.has(older); err != nil {
		return err
	}
	proof, err := tlog.ProveTree(newest.size, older.size, t)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, newest.size, newest.root, older.size, older.root)
}

// Proof checks the proof of one record.
func (k *keys) proof(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	proof, signed, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(proof), "\n")
	if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof")
	}
	row, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil || len(row) < entryLen {
		return errors.New("no row")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var hashes tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		hashes = append(hashes, hash)
	}
	it, err := k.checkpoint(signed)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(hashes, it.size, it.root, index, tlog.RecordHash(row[:entryLen]))
}
