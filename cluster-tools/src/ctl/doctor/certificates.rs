//! When the certificates end: those that the members show, and our own.
//!
//! Invariant: a certificate is looked at also when nobody would trust it any more; that is when
//! it matters.

use std::sync::Arc;

use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::global::Global;
use super::super::observe::Sample;
use super::finding::Finding;
use crate::wire::{certificates, tls};

const DAY_S: i64 = 86_400;

/// Ends sooner than this need somebody now.
const URGENT_DAYS: i64 = 7;

/// Looks at every TLS endpoint.
pub(super) async fn check(global: &Global, samples: &[Sample], warn_days: u32) -> Finding {
    let Ok(anyone) = (tls::Files { skip_verify: true, ..tls::Files::default() }).config() else {
        return Finding::warning("certificates", "TLS cannot be set up here".to_owned());
    };
    let mut parts = Vec::new();
    let mut seen = 0;
    for sample in samples {
        let Some(endpoint) = &sample.target.endpoint else { continue };
        let Ok(address) = global.dialing.address(endpoint) else { continue };
        if !address.tls() {
            continue;
        }
        // With our own certificate where there is one: a server may ask for it.
        let ours = global.dialing.tls.clone().filter(|_| sample.status.is_ok());
        let shown = certificates(&address, ours.unwrap_or_else(|| Arc::clone(&anyone)));
        match tokio::time::timeout(global.dialing.dial_timeout, shown).await {
            Ok(Ok(chain)) => {
                seen += 1;
                parts.extend(chain.iter().map(|one| judge(&sample.name(), one, warn_days)));
            }
            Ok(Err(error)) => parts.push(unseen(sample, &error.to_string())),
            Err(_) => parts.push(unseen(sample, "no handshake in time")),
        }
    }
    let well = if seen == 0 {
        "no member is asked over TLS".to_owned()
    } else {
        format!("those of {seen} members end in more than {warn_days} days")
    };
    Finding::worst("certificates", parts, well)
}

fn unseen(sample: &Sample, why: &str) -> Finding {
    Finding::warning("certificates", format!("{} could not be seen: {why}", sample.name()))
}

fn judge(name: &str, der: &[u8], warn_days: u32) -> Finding {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Finding::warning("certificates", format!("{name} shows one that cannot be read"));
    };
    let end_s = certificate.validity().not_after.timestamp();
    let left = (end_s - jiff::Timestamp::now().as_second()).div_euclid(DAY_S);
    let subject = certificate.subject();
    let next = "issue a new certificate; members read their files again without a restart";
    let evidence = format!("{name}: {subject} ends in {left} days");
    match left {
        ..0 => Finding::bad("certificates", format!("{name}: {subject} has expired")).next(next),
        0..URGENT_DAYS => Finding::bad("certificates", evidence).next(next),
        _ if left < i64::from(warn_days) => Finding::warning("certificates", evidence).next(next),
        _ => Finding::well("certificates", evidence),
    }
}
