//! All controllers against the API server that `KUBECONFIG` names, until interrupted:
//! `KUBECONFIG=… cargo run -p engram-controllers --example run [-- CONTROLLER…]`.

use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = kube::Client::try_default().await?;
    let mut options = engram_controllers::Options::default();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if !words.is_empty() {
        options.select(&words)?;
    }
    let shutdown = CancellationToken::new();
    let controllers = tokio::spawn(engram_controllers::run(client, options, shutdown.clone()));
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    controllers.await?;
    Ok(())
}
