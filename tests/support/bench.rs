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

/// A row of the table.
#[must_use]
pub const fn row(what: &'static str, measured: f64, unit: &'static str, floor: f64, goal: f64) -> Row {
    Row { what, measured, unit, floor, goal }
}

/// The value in the middle: what the machine's neighbours do to some of them is not in it.
///
/// # Panics
///
/// If there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a table; whether nothing in it is missed.
pub fn print(rows: &[Row]) -> bool {
    for row in rows {
        println!("{row}");
    }
    !rows.iter().any(Row::is_missed)
}
