//! `ctl migrate`: a live copy of a running etcd into Engram, with lag, progress and a proof.
//!
//! The way of a change: the source's watch is open before the first page is read, and its changes
//! are taken between pages, so that a compaction of the source in the meantime takes nothing away.
//! A key that a page brought is followed by the changes after it; one that no page has reached yet
//! will be read later, newer. Changes come in order, so both meet in the end. If this side falls so
//! far behind that the source compacts what was not read yet, everything is compared once more and
//! what differs is copied.
//!
//! Two ways to begin:
//! - the target was made by `engram util import` from a snapshot of the source: it is the source at
//!   an earlier revision. Then every revision is made again as one transaction, and the proof is
//!   the HashKV of both;
//! - the target is empty: then keys, values and leases are copied, revisions differ, and the proof
//!   is that both sides hold the same.
//!
//! Must not know: anything but the published etcd API.

mod copy;
mod feed;
mod leases;
mod proof;
mod replay;
mod side;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use proto::mvccpb::Event;

use self::feed::{Feed, Forgotten, Heard};
use self::leases::Leases;
use self::side::Side;
use super::flags::login;
use super::global::Global;
use crate::ToolError;
use crate::wire::tls;

/// Copies a running etcd.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Client URLs of the etcd to be copied, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    from: Vec<String>,
    /// Only the keys that begin so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Go on after both sides are equal, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Remove keys of the target that the source does not have.
    #[arg(long)]
    replace: bool,
    /// The CAs of the source (PEM).
    #[arg(long)]
    from_cacert: Option<PathBuf>,
    /// The client's certificate for the source (PEM).
    #[arg(long)]
    from_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long)]
    from_key: Option<PathBuf>,
    /// The user at the source, with a prompt for the password.
    #[arg(long)]
    from_user: Option<String>,
    /// That user's password; others can see it.
    #[arg(long, env = "ENGRAM_FROM_PASSWORD", hide_env_values = true)]
    from_password: Option<String>,
}

impl Migrate {
    /// The source as the global flags would describe it.
    fn source(&self, global: &Global) -> Result<Global, ToolError> {
        let files = tls::Files {
            cacert: self.from_cacert.clone(),
            cert: self.from_cert.clone(),
            key: self.from_key.clone(),
            skip_verify: false,
        };
        let mut source = global.clone();
        source.endpoints.clone_from(&self.from);
        source.dialing.tls = files.any().then(|| files.config()).transpose()?;
        source.dialing.tls_by_default = files.any();
        source.login = login(self.from_user.clone(), self.from_password.clone(), None)?;
        Ok(source)
    }
}

/// How often the source is asked where it stands, and leases are renewed.
const BEAT: Duration = Duration::from_secs(1);
/// How often in a row a copy is begun anew because the source has compacted what was not read yet.
const ANEW_MAX: u32 = 10;

/// Runs a migration to its proof.
///
/// *Errors*: either side cannot be reached, the target holds something else, somebody else writes
/// to the target, or the proof fails. Run again, it goes on with what differs.
pub(crate) async fn run(global: &Global, migrate: Migrate) -> Result<(), ToolError> {
    let mut global = global.clone();
    // A watch has no end, and a hash of much takes its time.
    global.dialing.request_timeout = None;
    let from = Side::new(migrate.source(&global)?.channel().await?);
    let to = Side::new(global.channel().await?);
    let (source, target) = (from.header().await?, to.header().await?);
    if source.cluster_id == target.cluster_id {
        let text = format!("--from and --endpoints are the same cluster {:x}", source.cluster_id);
        return Err(ToolError::Usage(text));
    }
    let range = side::Prefix::new(&migrate.prefix);
    let exact = range.is_everything() && target.revision > 1 && same_past(&from, &to).await?;
    let work = Work {
        leases: Leases::default(),
        bar: bar(),
        applied: if exact { target.revision } else { source.revision },
        exact,
        range,
        replace: migrate.replace,
        ours_below: Vec::new(),
        begun_anew: 0,
        from,
        to,
    };
    work.run(migrate.follow).await
}

/// Whether the target is the source at the target's revision.
async fn same_past(from: &Side, to: &Side) -> Result<bool, ToolError> {
    let revision = to.header().await?.revision;
    let everything = side::Prefix::new("");
    // Not by HashKV: the source may have compacted since the snapshot.
    match proof::held(from, &everything, revision, true).await {
        Ok(theirs) => Ok(theirs == proof::held(to, &everything, revision, true).await?),
        // The source has not come so far, or has forgotten it.
        Err(status) if status.code() == tonic::Code::OutOfRange => Ok(false),
        Err(status) => Err(status.into()),
    }
}

/// A migration under way.
struct Work {
    from: Side,
    to: Side,
    range: side::Prefix,
    /// Every revision is made again, under its own number.
    exact: bool,
    /// Keys that only the target has are removed.
    replace: bool,
    /// Below this key the target has only what this run has brought or found in the source.
    ours_below: Vec<u8>,
    /// Copies that were begun anew since both sides were equal.
    begun_anew: u32,
    leases: Leases,
    bar: ProgressBar,
    /// The source's revision up to which changes are in the target.
    applied: i64,
}

impl Work {
    async fn run(mut self, follow: bool) -> Result<(), ToolError> {
        let mut feed = match self.exact {
            true => self.open_exact().await?,
            false => self.open_copy().await?,
        };
        self.catch_up(&mut feed).await?;
        if follow {
            self.follow(&mut feed).await?;
        }
        self.prove(&mut feed).await
    }

    async fn open_exact(&mut self) -> Result<Feed, ToolError> {
        let feed = Feed::open(&self.from, &self.range, self.applied + 1).await?;
        self.leases.adopt(&self.to).await?;
        self.say(format_args!(
            "the target is the source at revision {}: every later one is made again",
            self.applied
        ));
        Ok(feed)
    }

    async fn open_copy(&mut self) -> Result<Feed, ToolError> {
        let mut feed = Feed::from_now_on(&self.from, &self.range).await?;
        self.applied = feed.seen();
        self.say(format_args!(
            "copying what differs. The target is not the source at an earlier revision, or the \
             source has compacted what came after it: revisions are the target's own"
        ));
        self.copy(&mut feed).await?;
        Ok(feed)
    }

    /// Opens the feed anew; everything must be compared once more then.
    ///
    /// *Errors*: in an exact copy every revision is needed; or this has happened too often.
    async fn reopen(&mut self, feed: &mut Feed, forgotten: Forgotten) -> Result<(), ToolError> {
        if self.exact || self.begun_anew == ANEW_MAX {
            return Err(forgotten.into());
        }
        self.begun_anew += 1;
        *feed = Feed::from_now_on(&self.from, &self.range).await?;
        self.applied = feed.seen();
        self.say(format_args!("{forgotten}: what differs is copied once more"));
        Ok(())
    }

    /// Applies changes until everything is in the target that the source had when this began.
    async fn catch_up(&mut self, feed: &mut Feed) -> Result<(), ToolError> {
        let goal = self.from.header().await?.revision;
        feed.ask_progress().await?;
        while self.applied < goal {
            self.step(feed).await?;
            self.show(goal);
        }
        self.begun_anew = 0;
        Ok(())
    }

    /// Applies changes until the user ends it.
    async fn follow(&mut self, feed: &mut Feed) -> Result<(), ToolError> {
        self.say(format_args!("both sides are equal; following until Ctrl-C"));
        // A step is never cut off: it looks at the end when it is done, within a beat.
        let end = tokio::spawn(tokio::signal::ctrl_c());
        while !end.is_finished() {
            self.step(feed).await?;
            let goal = self.from.header().await?.revision;
            self.show(goal);
        }
        self.catch_up(feed).await
    }

    /// Waits for the next news of the source, at most a beat, and applies it.
    ///
    /// *Cancellation*: changes that were taken and not applied would be lost: it must not be.
    async fn step(&mut self, feed: &mut Feed) -> Result<(), ToolError> {
        self.leases.renew_when_due(&self.from, &self.to).await?;
        match feed.next(BEAT).await? {
            Heard::News(news) => self.take(news).await,
            Heard::Nothing => feed.ask_progress().await,
            Heard::Forgotten(forgotten) => {
                self.reopen(feed, forgotten).await?;
                self.copy(feed).await
            }
        }
    }

    /// Applies the changes of one answer of the watch.
    async fn take(&mut self, news: feed::News) -> Result<(), ToolError> {
        for revision in news.events.chunk_by(|one, next| revision_of(one) == revision_of(next)) {
            replay::revision(self, revision).await?;
        }
        self.applied = self.applied.max(news.up_to);
        Ok(())
    }

    fn show(&self, goal: i64) {
        let lag = goal.saturating_sub(self.applied).max(0);
        self.bar.set_message(format!("source at revision {goal}, {lag} behind"));
        self.bar.tick();
    }

    /// A line that stays; above the bar where there is one.
    fn say(&self, text: std::fmt::Arguments<'_>) {
        match self.bar.is_hidden() {
            true => eprintln!("{text}"),
            false => self.bar.println(text.to_string()),
        }
    }
}

fn revision_of(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

/// Drawn on a terminal alone.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} keys  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
