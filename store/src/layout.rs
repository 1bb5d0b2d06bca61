//! Where rows live: the keys of the `KeyValues`, `Leases`, `Members`, `Alarms` and `Auth` spaces.
//!
//! Compat: the name of a change is etcd's, byte for byte, because `HashKV` covers it:
//!
//! ```text
//! put        main: i64 BE | '_' | sub: i64 BE           17 bytes
//! tombstone  main: i64 BE | '_' | sub: i64 BE | 't'     18 bytes
//! ```
//!
//! Names sort as changes happened. This module must not know what rows hold.

use crate::error::StorageError;
use crate::types::{LeaseId, MemberId, RowRevision};

/// *Units*: bytes of a put's name.
pub(crate) const PUT_NAME_BYTES: usize = 17;
/// *Units*: bytes of a tombstone's name.
pub(crate) const TOMBSTONE_NAME_BYTES: usize = 18;

const SEPARATOR: u8 = b'_';
const TOMBSTONE_MARK: u8 = b't';
const USER_MARK: u8 = b'u';
const ROLE_MARK: u8 = b'r';

/// The name of a put.
pub(crate) fn put_name(at: RowRevision) -> [u8; PUT_NAME_BYTES] {
    let mut name = [SEPARATOR; PUT_NAME_BYTES];
    name[..8].copy_from_slice(&at.main.0.to_be_bytes());
    name[9..].copy_from_slice(&i64::from(at.sub).to_be_bytes());
    name
}

/// The name of a tombstone.
pub(crate) fn tombstone_name(at: RowRevision) -> [u8; TOMBSTONE_NAME_BYTES] {
    let mut name = [TOMBSTONE_MARK; TOMBSTONE_NAME_BYTES];
    name[..PUT_NAME_BYTES].copy_from_slice(&put_name(at));
    name
}

/// The smallest name at or above the main revision: where a scan of revisions starts or ends.
pub(crate) fn first_name(main: i64) -> [u8; PUT_NAME_BYTES] {
    put_name(RowRevision::new(main, 0))
}

/// Reads a name back: which change, and whether it is a tombstone.
pub(crate) fn read_name(name: &[u8]) -> Result<(RowRevision, bool), StorageError> {
    let damaged = || StorageError::Damaged(format!("a change is called {name:02x?}"));
    let tombstone = match name {
        [_, _, _, _, _, _, _, _, SEPARATOR, rest @ ..] if rest.len() == 8 => false,
        [_, _, _, _, _, _, _, _, SEPARATOR, rest @ .., TOMBSTONE_MARK] if rest.len() == 8 => true,
        _ => return Err(damaged()),
    };
    let number = |from: usize| {
        i64::from_be_bytes(name[from..from + 8].try_into().expect("the pattern has 17 bytes"))
    };
    let sub = u32::try_from(number(9)).ok().filter(|sub| *sub <= RowRevision::SUB_MAX);
    Ok((RowRevision::new(number(0), sub.ok_or_else(damaged)?), tombstone))
}

/// A lease's row.
pub(crate) fn lease_name(id: LeaseId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// Reads a lease's row name back.
pub(crate) fn read_lease_name(name: &[u8]) -> Result<LeaseId, StorageError> {
    let bytes = name.try_into().map_err(|_| damaged_name("lease", name))?;
    Ok(LeaseId(i64::from_be_bytes(bytes)))
}

/// A member's row.
pub(crate) fn member_name(id: MemberId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// A user's row.
pub(crate) fn user_name(name: &[u8]) -> Vec<u8> {
    marked(USER_MARK, name)
}

/// A role's row.
pub(crate) fn role_name(name: &[u8]) -> Vec<u8> {
    marked(ROLE_MARK, name)
}

fn marked(mark: u8, name: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + name.len());
    row.push(mark);
    row.extend_from_slice(name);
    row
}

/// What a row of the `Auth` space is about, and its name.
pub(crate) fn read_auth_name(row: &[u8]) -> Result<(AuthRow, &str), StorageError> {
    let damaged = || damaged_name("user or role", row);
    let (mark, name) = row.split_first().ok_or_else(damaged)?;
    let kind = match *mark {
        USER_MARK => AuthRow::User,
        ROLE_MARK => AuthRow::Role,
        _ => return Err(damaged()),
    };
    Ok((kind, std::str::from_utf8(name).map_err(|_| damaged())?))
}

/// The kinds of rows of the `Auth` space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthRow {
    User,
    Role,
}

/// An alarm's row: member, then the alarm's number.
pub(crate) fn alarm_name(member: MemberId, alarm: i32) -> [u8; 12] {
    let mut name = [0; 12];
    name[..8].copy_from_slice(&member.0.to_be_bytes());
    name[8..].copy_from_slice(&alarm.to_be_bytes());
    name
}

/// Reads an alarm's row name back.
pub(crate) fn read_alarm_name(name: &[u8]) -> Result<(MemberId, i32), StorageError> {
    let bytes: [u8; 12] = name.try_into().map_err(|_| damaged_name("alarm", name))?;
    let (member, alarm) = bytes.split_at(8);
    let member = u64::from_be_bytes(member.try_into().expect("eight bytes were split off"));
    let alarm = i32::from_be_bytes(alarm.try_into().expect("four bytes are left"));
    Ok((MemberId(member), alarm))
}

fn damaged_name(what: &str, name: &[u8]) -> StorageError {
    StorageError::Damaged(format!("a row of a {what} is called {name:02x?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_etcds_bytes() {
        let at = RowRevision::new(0x0102, 3);
        assert_eq!(put_name(at), *b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03");
        assert_eq!(tombstone_name(at), *b"\0\0\0\0\0\0\x01\x02_\0\0\0\0\0\0\0\x03t");
    }

    #[test]
    fn names_are_read_back() {
        for at in [RowRevision::new(1, 0), RowRevision::new(i64::MAX, RowRevision::SUB_MAX)] {
            assert_eq!(read_name(&put_name(at)).expect("own name"), (at, false));
            assert_eq!(read_name(&tombstone_name(at)).expect("own name"), (at, true));
        }
    }

    #[test]
    fn foreign_names_are_damage() {
        let good = tombstone_name(RowRevision::new(7, 7));
        let mut bad_separator = good;
        bad_separator[8] = b'-';
        let mut bad_mark = good;
        bad_mark[17] = b'x';
        let mut bad_sub = put_name(RowRevision::new(7, 7));
        bad_sub[9] = 0x80;
        for name in [&good[..16], &good[..0], &bad_separator[..], &bad_mark[..], &bad_sub[..]] {
            assert!(read_name(name).is_err(), "{name:02x?}");
        }
    }

    #[test]
    fn users_and_roles_of_one_name_have_two_rows() {
        assert_eq!((user_name(b"ann"), role_name(b"ann")), (b"uann".to_vec(), b"rann".to_vec()));
        let read = |row: &[u8]| read_auth_name(row).map(|(kind, name)| (kind, name.to_owned()));
        assert_eq!(read(b"uann").expect("own name"), (AuthRow::User, "ann".to_owned()));
        assert_eq!(read(b"r").expect("own name"), (AuthRow::Role, String::new()));
        for row in [&b""[..], b"x", b"u\xff"] {
            assert!(read_auth_name(row).is_err(), "{row:02x?}");
        }
    }

    #[test]
    fn lease_and_alarm_names_are_read_back() {
        for id in [1, -1, i64::MIN, i64::MAX] {
            assert_eq!(read_lease_name(&lease_name(LeaseId(id))).expect("own name"), LeaseId(id));
        }
        let name = alarm_name(MemberId(u64::MAX), 2);
        assert_eq!(read_alarm_name(&name).expect("own name"), (MemberId(u64::MAX), 2));
        assert!(read_lease_name(b"short").is_err());
        assert!(read_alarm_name(b"short").is_err());
    }
}
