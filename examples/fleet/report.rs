//! The table on the terminal, and whether its figures are right.

use crate::{crew::Tally, loopback::Counts};

/// Prints what the processes have told and what the server has counted, and says whether the two agree. There is time for
/// `most` refreshes, if one process makes each.
pub(crate) fn print(tallies: &[Tally], counts: &Counts, most: u64) -> bool {
    println!("\nprocess  fetched  took over  requests  failed");
    for (number, tally) in (1..).zip(tallies) {
        let Tally { fetched, taken_over, answered, failed, .. } = tally;
        println!("{number:>7} {fetched:>8} {taken_over:>10} {:>9} {failed:>7}", answered + failed);
    }
    let generations = tallies.iter().map(|tally| tally.generation).max().unwrap_or_default();
    let calls = counts.logins + counts.refreshes + counts.refused_token_calls;
    println!(
        "\n{generations} token sets by {calls} calls for tokens: {} login, {} refreshes, {} refused, {} spent twice",
        counts.logins, counts.refreshes, counts.refused_token_calls, counts.double_spent,
    );
    let wrong = [
        (counts.logins != 1, "there must be one login"),
        (counts.refreshes == 0, "no token was renewed: it takes some seconds"),
        (counts.refreshes > most, "tokens were renewed by more than one of all"),
        (calls != generations, "there must be one call for each token set"),
        (sum(tallies, |tally| tally.fetched) != calls, "each call must be some process's"),
        (counts.refused_token_calls + counts.double_spent != 0, "no call may be refused"),
        (tallies.iter().any(|tally| tally.answered == 0), "each process must be served"),
        (sum(tallies, |tally| tally.failed) != 0, "no request may fail"),
    ];
    let wrong: Vec<_> = wrong.into_iter().filter_map(|(is_wrong, what)| is_wrong.then_some(what)).collect();
    match wrong.is_empty() {
        true => println!("All figures are as they must be."),
        false => println!("WRONG: {}.", wrong.join("; ")),
    }
    wrong.is_empty()
}

fn sum(tallies: &[Tally], of: fn(&Tally) -> u64) -> u64 {
    tallies.iter().map(of).sum()
}
