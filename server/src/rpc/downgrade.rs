//! Maintenance.Downgrade: what etcd's operators ask before they go back by one minor version.
//!
//! The job is noted in the state and shown by Status. Nothing else follows from it: the files are
//! Engram's own, and the way back to etcd is a snapshot.

use proto::etcdserverpb::downgrade_request::DowngradeAction;
use proto::etcdserverpb::{DowngradeRequest, DowngradeResponse};
use proto::log::{Downgrade, command};
use proto::status::EtcdError;
use tonic::Status;

use crate::errors::status;
use crate::member::Member;

/// The version that all members agree on: major and minor.
const CLUSTER_VERSION: (u64, u64) = (3, 7);

/// Answers a request whose caller was allowed to ask.
pub(crate) async fn downgrade(
    member: &Member,
    request: &DowngradeRequest,
) -> Result<DowngradeResponse, Status> {
    match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Validate) => {
            check_target(&request.version).map_err(status)?;
            if member.reader().downgrade_target().is_some() {
                return Err(status(EtcdError::DowngradeInProcess));
            }
        }
        Ok(DowngradeAction::Enable) => {
            let target_version = check_target(&request.version).map_err(status)?;
            note(member, Downgrade { enabled: true, target_version }).await?;
        }
        // Compat: without a job etcd only writes a warning into its log.
        Ok(DowngradeAction::Cancel) => note(member, Downgrade::default()).await?,
        Err(_) => return Err(Status::unknown("etcdserver: unknown method")),
    }
    let (major, minor) = CLUSTER_VERSION;
    let version = format!("{major}.{minor}");
    Ok(DowngradeResponse { header: Some(member.header()), version })
}

async fn note(member: &Member, downgrade: Downgrade) -> Result<(), Status> {
    member.propose_fenced(command::Request::Downgrade(downgrade), 0).await?;
    Ok(())
}

/// The target as etcd shows it: exactly one minor version lower, its patch version left out.
fn check_target(version: &str) -> Result<String, EtcdError> {
    let wrong = EtcdError::WrongDowngradeVersionFormat;
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<u64> = release
        .split('.')
        .map(|number| number.parse().map_err(|_| wrong))
        .collect::<Result<_, _>>()?;
    let (&[major, minor] | &[major, minor, _]) = &numbers[..] else { return Err(wrong) };
    if (major, minor.saturating_add(1)) != CLUSTER_VERSION {
        return Err(EtcdError::InvalidDowngradeTargetVersion);
    }
    Ok(format!("{major}.{minor}.0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_has_one_version() {
        let (major, minor) = CLUSTER_VERSION;
        assert_eq!(crate::version::CLUSTER_VERSION, format!("{major}.{minor}.0"));
    }

    #[test]
    fn a_target_is_one_minor_version_lower() {
        for good in ["3.6", "3.6.0", "3.6.1", "3.6.1-rc.0"] {
            assert_eq!(check_target(good), Ok("3.6.0".to_owned()), "{good}");
        }
        for bad in ["", "x", "3", "3.6.1.2", "v3.6.0", "3.", "-1.6"] {
            assert_eq!(check_target(bad), Err(EtcdError::WrongDowngradeVersionFormat), "{bad}");
        }
        for other in ["3.5.0", "3.7", "4.6", "3.18446744073709551615"] {
            let refused = check_target(other);
            assert_eq!(refused, Err(EtcdError::InvalidDowngradeTargetVersion), "{other}");
        }
    }
}
