//! `causeway repair`: puts back what attachments that are alive lack, and touches nothing else of them.

use std::collections::HashSet;
use std::thread;

use cni_common::Result;
use serde::Serialize;

use crate::attachments::Attachments;
use crate::check;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::gc::Effect;
use crate::lacks::{self, Lack};
use crate::networks::{Networks, Places};
use crate::output::{Colour, Output};

/// What was done, as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// Whether nothing was to be done.
    dry_run: bool,
    /// What was put back.
    repaired: Vec<Done>,
    /// What is still missing.
    left: Vec<Done>,
    /// Why.
    errors: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    network: String,
    container: Option<String>,
    interface: Option<String>,
    kind: &'static str,
    fault: Fault,
}

/// Puts it back.
pub(crate) fn repair(
    places: &Places,
    network: Option<&str>,
    (effect, output): (Effect, Output),
) -> Result<Exit> {
    let (mut networks, mut attachments) = read(places, network)?;
    let (mut found, mut errors) = lacks::find(&networks, &attachments)?;
    if !found.is_empty() {
        // As with `check`: a DEL that was at work takes one thing after the other.
        thread::sleep(check::MOMENT);
        (networks, attachments) = read(places, network)?;
        let first = names(&found);
        (found, errors) = lacks::find(&networks, &attachments)?;
        found.retain(|lack| first.contains(&lack.to_string()));
    }
    let unread = attachments.complain(network);
    let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let is_dry = effect == Effect::Nothing;
    let mut left = found.clone();
    if !is_dry && !found.is_empty() {
        let failed = lacks::mend_all(&found, &networks, &attachments);
        let (networks, attachments) = read(places, network)?;
        left = lacks::find(&networks, &attachments)?.0;
        // What two networks share was put back for the first one.
        let names = names(&left);
        let failed = failed.into_iter().filter(|(lack, _)| names.contains(&lack.to_string()));
        errors.extend(failed.map(|(lack, error)| format!("{}: {error}", lack.in_short())));
    }
    let still = names(&left);
    let is_left = |lack: &&Lack| still.contains(&lack.to_string());
    let repaired = found.iter().filter(|lack| !is_left(lack)).map(done).collect::<Vec<_>>();
    let outcome =
        Outcome { dry_run: is_dry, repaired, left: left.iter().map(done).collect(), errors };
    output.show(&outcome, || text(&outcome, output))?;
    let is_left = !outcome.left.is_empty() || !outcome.errors.is_empty();
    Ok(Exit::REPAIRED.when(!outcome.repaired.is_empty()) | Exit::LEFT.when(is_left) | unread)
}

fn read(places: &Places, network: Option<&str>) -> Result<(Networks, Attachments)> {
    let mut networks = Networks::read(places)?;
    let attachments = Attachments::read(places, &mut networks)?;
    Ok((networks.only(network)?, attachments))
}

/// What tells one lack from the others.
fn names(lacks: &[Lack]) -> HashSet<String> {
    lacks.iter().map(ToString::to_string).collect()
}

fn done(lack: &Lack) -> Done {
    Done {
        network: lack.network.clone(),
        container: lack.key.as_ref().map(|key| key.container.clone()),
        interface: lack.key.as_ref().map(|key| key.ifname.clone()),
        kind: lack.what.word(),
        fault: lack.fault.clone(),
    }
}

fn text(outcome: &Outcome, output: Output) -> String {
    let word = if outcome.dry_run { "would repair" } else { "left" };
    let left = outcome.left.iter().map(|done| (word, Colour::Warning, done));
    let repaired = outcome.repaired.iter().map(|done| ("repaired", Colour::Good, done));
    let mut text = String::new();
    for (word, colour, done) in repaired.chain(left) {
        let whose = match (&done.container, &done.interface) {
            (Some(container), Some(interface)) => {
                format!("{}/{container}/{interface}", done.network)
            }
            _ => done.network.clone(),
        };
        text.push_str(&format!("{} {whose}: {}\n", output.paint(colour, word), done.fault.text()));
    }
    for error in &outcome.errors {
        text.push_str(&format!("{} {error}\n", output.paint(Colour::Bad, "failed:")));
    }
    if text.is_empty() {
        "nothing is missing\n".clone_into(&mut text);
    }
    text
}
