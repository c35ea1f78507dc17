//! Rows as they are stored, side by side in one piece of memory.

use crate::chain::Link;

/// Some rows, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Number of each, and where it ends.
    ends: Vec<(u64, usize)>,
}

impl Rows {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of each, and its bytes: entry, salt, body.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        self.ends.iter().zip(begins).map(|(&(seq, end), begin)| (seq, &self.bytes[begin..end]))
    }

    /// The bytes of all, together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a row that comes after these.
    pub fn push(&mut self, seq: u64, row: &[u8]) {
        self.bytes.extend_from_slice(row);
        self.ends.push((seq, self.bytes.len()));
    }

    /// Adds rows that come after these.
    pub(super) fn append(&mut self, rows: Self) {
        if self.is_empty() {
            *self = rows;
        } else {
            rows.iter().for_each(|(seq, row)| self.push(seq, row));
        }
    }
}

impl From<&Rows> for Vec<Link> {
    fn from(rows: &Rows) -> Self {
        rows.iter().map(|(seq, row)| Link { seq, row: row.to_vec() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn rows_are_what_was_put_there_wherever_they_came_from() {
        let wanted: [(u64, &[u8]); 4] = [(3, b"one"), (4, b""), (5, b"three"), (9, b"4")];
        for cut in 0..=wanted.len() {
            let mut rows = Rows::default();
            for part in [&wanted[..cut], &wanted[cut..]] {
                let mut found = Rows::default();
                for (seq, row) in part {
                    found.push(*seq, row);
                }
                rows.append(found);
            }
            assert_eq!(rows.iter().collect::<Vec<_>>(), wanted, "{cut}");
            assert_eq!((rows.len(), rows.total()), (4, 9));
        }
    }
}
