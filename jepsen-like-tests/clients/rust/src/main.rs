//! The crate etcd-client, as its documentation uses it. Arguments: host, port.
//!
//! Invariants: prints `ok NAME what` or `FAIL NAME why`, one line a step; a step that fails is told
//! and the next one runs.
//!
//! Must not know: which server answers.

mod concurrency;
mod cut;
mod keys;
mod leases;
mod members;
mod told;
mod users;
mod watches;

use std::process::ExitCode;

use etcd_client::Client;

use told::Told;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(host), Some(port)) = (arguments.next(), arguments.next()) else {
        println!("FAIL arguments: host and port are wanted");
        return ExitCode::FAILURE;
    };
    let endpoint = format!("{host}:{port}");
    let client = match Client::connect([&endpoint], None).await {
        Ok(client) => client,
        Err(error) => {
            println!("FAIL connect {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut told = Told::default();
    keys::tell(&mut told, &client).await;
    watches::tell(&mut told, &client, &endpoint).await;
    leases::tell(&mut told, &client).await;
    concurrency::tell(&mut told, &client).await;
    members::tell(&mut told, &client).await;
    // Last: with authentication on, and off again.
    users::tell(&mut told, &client, &endpoint).await;
    told.end()
}
