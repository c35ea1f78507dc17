//! Rows of the tables that `cargo xtask bench` prints.

/// One thing that was measured, and what it should be.
#[derive(Clone, Debug)]
pub struct Row {
    /// What.
    pub what: &'static str,
    /// How much.
    pub measured: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it must reach.
    pub floor: f64,
    /// What it should reach.
    pub goal: f64,
}

impl Row {
    /// Is more of it better?
    fn more_is_better(&self) -> bool {
        self.goal > self.floor
    }

    fn reaches(&self, mark: f64) -> bool {
        if self.more_is_better() { self.measured >= mark } else { self.measured <= mark }
    }

    /// Below its floor.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        !self.reaches(self.floor)
    }

    fn met(&self) -> &'static str {
        match (self.is_missed(), self.reaches(self.goal)) {
            (true, _) => "MISSED",
            (false, true) => "goal met",
            (false, false) => "floor met",
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:<50} {:>9.2} {:<11} floor {:>7} goal {:>7}   {}",
            self.what,
            self.measured,
            self.unit,
            self.floor,
            self.goal,
            self.met()
        )
    }
}

/// Prints a table; whether nothing in it is missed.
pub fn print(rows: &[Row]) -> bool {
    for row in rows {
        println!("{row}");
    }
    !rows.iter().any(Row::is_missed)
}
