//! `top`: the members live on the terminal, or once as a table.
//!
//! Invariants: the terminal is left as it was on every end, also by a signal or a panic; without a
//! terminal it prints once. Rates come from two looks, so there are none before the second.
//!
//! Must not know: how a member is asked.

mod figures;
mod screen;

use std::time::Duration;

use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::global::Global;
use super::observe::{self, Sample};
use super::show::figures::parse_duration;
use crate::ToolError;
use figures::Picture;

/// Options of `top`.
#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Print one table and end.
    #[arg(long)]
    once: bool,
    /// Time between two looks.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    interval: Duration,
}

/// Less would be a load of its own.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

pub(crate) async fn run(global: &Global, top: Top) -> Result<(), ToolError> {
    let interval = top.interval.max(INTERVAL_MIN);
    // A silent member must not hold the picture up for longer than it takes to look twice.
    let mut brisk = global.clone();
    brisk.command_timeout = global.command_timeout.min(Duration::from_secs(2));
    brisk.dialing.request_timeout = Some(brisk.command_timeout);
    let wants_once = top.once || !std::io::IsTerminal::is_terminal(&std::io::stdout());
    if wants_once { once(&brisk, interval).await } else { live(&brisk, interval).await }
}

async fn once(global: &Global, interval: Duration) -> Result<(), ToolError> {
    let before = look(global).await?;
    tokio::time::sleep(interval).await;
    let now = look(global).await?;
    let picture = Picture::of(Some(&before.0), &now.0, now.1);
    global.output.show(
        || picture.document(),
        || picture.table().text("").into(),
        || {
            let reasons: String =
                picture.reasons().iter().map(|reason| format!("{reason}\n")).collect();
            let table = picture.table().text("no members");
            format!("{}\n\n{table}{reasons}", picture.headline())
        },
    )
}

/// All samples, and the alarms in words.
async fn look(global: &Global) -> Result<(Vec<Sample>, Vec<String>), ToolError> {
    let (targets, unlisted) = observe::targets(global).await;
    let samples = observe::look(global, &targets).await;
    if samples.iter().all(|sample| sample.status.is_err()) {
        let reason = samples.iter().find_map(|sample| sample.status.as_ref().err().cloned());
        let reason = unlisted.or(reason).unwrap_or_default();
        return Err(ToolError::Unhealthy(format!("no member answers: {reason}")));
    }
    let mut notes: Vec<_> =
        unlisted.map(|why| format!("members unknown: {why}")).into_iter().collect();
    match observe::alarms(global).await {
        Ok(alarms) => notes.extend(alarms.iter().map(|alarm| {
            let kind = super::endpoint::alarm_name(alarm.alarm);
            format!("ALARM {kind} of {:x}", alarm.member_id)
        })),
        Err(error) => notes.push(format!("alarms unknown: {error}")),
    }
    Ok((samples, notes))
}

async fn live(global: &Global, interval: Duration) -> Result<(), ToolError> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // From here on the terminal is ours; ratatui also gives it back when we panic.
    let mut terminal = ratatui::try_init()?;
    let mut keys = quitting_keys();
    let outcome = async {
        let mut before: Option<Vec<Sample>> = None;
        loop {
            match look(global).await {
                Ok((samples, notes)) => {
                    let picture = Picture::of(before.as_deref(), &samples, notes);
                    terminal.draw(|frame| screen::draw(frame, &picture))?;
                    before = Some(samples);
                }
                Err(error) => {
                    terminal.draw(|frame| screen::draw_error(frame, &error.to_string()))?;
                }
            }
            tokio::time::sleep(interval).await;
        }
    };
    let outcome = tokio::select! {
        ended = outcome => ended,
        _ = keys.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    ratatui::restore();
    outcome
}

/// Tells when q, Esc or Ctrl-C is pressed; read on a thread, for a terminal cannot be awaited.
fn quitting_keys() -> mpsc::Receiver<()> {
    let (quit, pressed) = mpsc::channel(1);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Event::Key(key) = event else { continue };
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            let quits = match key.code {
                KeyCode::Char('q') | KeyCode::Esc => true,
                KeyCode::Char('c') => control,
                _ => false,
            };
            if quits && key.kind == KeyEventKind::Press {
                // A full queue says it already; a closed one means that we are ending.
                let _ = quit.try_send(());
                return;
            }
        }
    });
    pressed
}
