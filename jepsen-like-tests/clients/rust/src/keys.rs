//! Keys: puts, ranges, streamed ranges, transactions, a namespace, compaction, and what is refused.
//!
//! Must not know: other keys than those under its prefix.

use etcd_client::{
    Client, CompactionOptions, Compare, CompareOp, DeleteOptions, GetOptions, KvClientPrefix,
    PutOptions, SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse,
};

use crate::told::{Failure, PREFIX, Seen, Told, holds, refused};

/// The steps about keys.
pub(crate) async fn tell(told: &mut Told, client: &Client) {
    told.step("put_and_get", put_and_get(client.clone())).await;
    told.step("ranges", ranges(client.clone())).await;
    told.step("get_stream", stream(client.clone())).await;
    told.step("transaction", transaction(client.clone())).await;
    told.step("namespace", namespace(client.clone())).await;
    told.step("compaction", compaction(client.clone())).await;
    told.step("refusals", refusals(client.clone())).await;
}

/// Puts, and gives the revision.
pub(crate) async fn put(client: &mut Client, name: &str, value: &str) -> Result<i64, Failure> {
    let answer = client.put(format!("{PREFIX}{name}"), value, None).await?;
    Ok(answer.header().ok_or("no header")?.revision())
}

async fn put_and_get(mut client: Client) -> Seen {
    let key = format!("{PREFIX}a");
    let first = put(&mut client, "a", "one").await?;
    let options = PutOptions::new().with_prev_key();
    let answer = client.put(key.as_str(), "two", Some(options)).await?;
    let before = answer.prev_key().ok_or("no previous value")?.value_str()?.to_owned();
    let now = client.get(key.as_str(), None).await?;
    let now = now.kvs().first().ok_or("no key")?;
    holds(now.create_revision() == first && now.mod_revision() == first + 1, "revisions")?;
    let past = GetOptions::new().with_revision(first).with_serializable();
    let past = client.get(key.as_str(), Some(past)).await?;
    let past = past.kvs().first().ok_or("no past")?.value_str()?.to_owned();
    let options = PutOptions::new().with_ignore_value().with_prev_key();
    let same = client.put(key.as_str(), "", Some(options)).await?;
    let same = same.prev_key().ok_or("no previous value")?.value_str()?.to_owned();
    let none = client.get(format!("{PREFIX}none"), None).await?.count();
    Ok(format!("{before} {} {} {past} {same} {none}", now.value_str()?, now.version()))
}

async fn ranges(mut client: Client) -> Seen {
    let all = format!("{PREFIX}list/");
    for name in ["x", "y", "z"] {
        put(&mut client, &format!("list/{name}"), name).await?;
    }
    let prefix = || GetOptions::new().with_prefix();
    let two = prefix().with_limit(2).with_sort(SortTarget::Key, SortOrder::Descend);
    let two = client.get(all.as_str(), Some(two)).await?;
    let keys = client.get(all.as_str(), Some(prefix().with_keys_only())).await?;
    let count = client.get(all.as_str(), Some(prefix().with_count_only())).await?;
    let young = prefix().with_min_mod_revision(keys.kvs()[1].mod_revision());
    let young = client.get(all.as_str(), Some(young)).await?;
    let from = GetOptions::new().with_from_key().with_limit(1);
    let from = client.get(format!("{all}y"), Some(from)).await?;
    let options = DeleteOptions::new().with_prefix().with_prev_key();
    let gone = client.delete(all.as_str(), Some(options)).await?;
    Ok(format!(
        "{} {} {} {} {} {} {} {} {} {}",
        two.kvs()[0].key_str()?,
        two.more(),
        two.count(),
        keys.kvs()[0].value().len(),
        count.kvs().len(),
        count.count(),
        young.kvs().len(),
        from.kvs()[0].key_str()?,
        gone.deleted(),
        gone.prev_kvs()[2].value_str()?,
    ))
}

async fn stream(mut client: Client) -> Seen {
    for number in 0..50 {
        put(&mut client, &format!("stream/{number:03}"), &"x".repeat(1_000)).await?;
    }
    let options = GetOptions::new().with_prefix();
    let mut answers =
        client.kv_client().get_stream(format!("{PREFIX}stream/"), Some(options)).await?;
    let (mut keys, mut count) = (0, 0);
    while let Some(answer) = answers.message().await? {
        keys += answer.kvs().len();
        count = count.max(answer.count());
    }
    Ok(format!("{keys} of {count}"))
}

async fn transaction(mut client: Client) -> Seen {
    let key = format!("{PREFIX}txn");
    let inner = Txn::new().and_then([TxnOp::get(key.as_str(), None)]);
    let make = Txn::new()
        .when([Compare::create_revision(key.as_str(), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key.as_str(), "made", None), TxnOp::txn(inner)])
        .or_else([TxnOp::get(key.as_str(), None), TxnOp::delete(key.as_str(), None)]);
    let first = client.txn(make.clone()).await?;
    let second = client.txn(make).await?;
    let no = Txn::new().when([
        Compare::version(key.as_str(), CompareOp::Less, 1),
        Compare::value(key.as_str(), CompareOp::NotEqual, "made"),
    ]);
    let third = client.txn(no).await?;
    let mut seen = vec![format!("{} {}", first.succeeded(), second.succeeded())];
    for answer in first.op_responses().iter().chain(&second.op_responses()) {
        seen.push(match answer {
            TxnOpResponse::Put(_) => "put".to_owned(),
            TxnOpResponse::Get(answer) => answer.kvs()[0].value_str()?.to_owned(),
            TxnOpResponse::Delete(answer) => format!("{} deleted", answer.deleted()),
            TxnOpResponse::Txn(answer) => format!("{} inside", answer.op_responses().len()),
        });
    }
    Ok(format!("{} {}", seen.join(", "), third.succeeded()))
}

async fn namespace(mut client: Client) -> Seen {
    let mut inside = KvClientPrefix::new(client.kv_client(), format!("{PREFIX}space/").into());
    inside.put("k", "1", None).await?;
    let listed = inside.get("k", None).await?;
    let outside = client.get(format!("{PREFIX}space/k"), None).await?;
    let gone = inside.delete("k", None).await?;
    Ok(format!(
        "{} {} {}",
        listed.kvs()[0].key_str()?,
        outside.kvs()[0].value_str()?,
        gone.deleted()
    ))
}

async fn compaction(mut client: Client) -> Seen {
    let first = put(&mut client, "compacted", "1").await?;
    let second = put(&mut client, "compacted", "2").await?;
    client.compact(second, Some(CompactionOptions::new().with_physical())).await?;
    let past = GetOptions::new().with_revision(first);
    Ok([
        refused(client.get(format!("{PREFIX}compacted"), Some(past)).await)?,
        refused(client.compact(first, None).await)?,
        refused(client.compact(second + 1_000_000, None).await)?,
    ]
    .join(" | "))
}

async fn refusals(mut client: Client) -> Seen {
    let key = format!("{PREFIX}refused");
    let put = || TxnOp::put(key.as_str(), "x", None);
    let get = || TxnOp::get(key.as_str(), None);
    let future = GetOptions::new().with_revision(1 << 40);
    let lease = PutOptions::new().with_lease(99);
    let ignore = PutOptions::new().with_ignore_value();
    let many: Vec<_> = (0..129).map(|_| get()).collect();
    let large = "x".repeat(1_700 * 1_024);
    Ok([
        refused(client.put("", "x", None).await)?,
        refused(client.get(key.as_str(), Some(future)).await)?,
        refused(client.put(key.as_str(), "x", Some(lease)).await)?,
        refused(client.put(key.as_str(), "", Some(ignore)).await)?,
        refused(client.txn(Txn::new().and_then([put(), put()])).await)?,
        refused(client.txn(Txn::new().and_then(many)).await)?,
        refused(client.put(key.as_str(), large, None).await)?,
    ]
    .join(" | "))
}
