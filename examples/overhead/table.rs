//! Figures of several rounds as rows: medians, how far they spread, and the ratios that can be compared.

/// What one side measured in each round; a round that failed is left out of its ratios.
pub type Rounds = Vec<f64>;

/// One row. `rounds`: of each side, in the order of the columns.
pub struct Row<'a> {
    pub what: &'a str,
    pub unit: &'a str,
    pub sides: &'a [&'a str],
    pub rounds: Vec<Rounds>,
}

pub fn print_head(sides: &[&str]) {
    print!("{:<62}", "");
    for side in sides {
        print!(" {side:>22}");
    }
    for side in sides.iter().filter(|side| **side != OURS) {
        print!(" {:>20}", format!("x {side}"));
    }
    println!();
}

const OURS: &str = "claude-proxy";

impl Row<'_> {
    pub fn print(&self) {
        print!("{:<62}", format!("{}, {}", self.what, self.unit));
        for rounds in &self.rounds {
            print!(" {:>22}", spread(rounds));
        }
        let Some(ours) = self.sides.iter().position(|side| *side == OURS) else { return };
        for (at, _) in self.sides.iter().enumerate().filter(|(at, _)| *at != ours) {
            print!(" {:>20}", spread(&ratios(&self.rounds[ours], &self.rounds[at])));
        }
        println!();
    }
}

/// Round by round, so that what slowed all sides down in one round is in no ratio.
fn ratios(ours: &[f64], theirs: &[f64]) -> Rounds {
    ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect()
}

/// `median [least-most]`
fn spread(values: &[f64]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return "-".to_owned() };
    let median = f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    if sorted.len() == 1 {
        return shown(median);
    }
    format!("{} [{}-{}]", shown(median), shown(*least), shown(*most))
}

fn shown(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
