//! The file that tells kubectl where the server is and who the user is.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pki::Pair;
use super::private_file;

/// The parts of a kubeconfig with one cluster, one user and one context.
#[derive(Debug, Clone)]
pub struct Kubeconfig {
    /// The name of the cluster and of the context.
    pub name: String,
    /// As `https://127.0.0.1:6443`.
    pub server: String,
    /// What signed the server's certificate, as PEM.
    pub ca_certificate: String,
    /// What the client shows.
    pub client: Pair,
}

impl Kubeconfig {
    /// The file's text: JSON, which is YAML too.
    pub fn text(&self) -> String {
        let mut text = format!("{:#}", self.document());
        text.push('\n');
        text
    }

    fn document(&self) -> Value {
        let data = |pem: &str| STANDARD.encode(pem);
        let (name, user) = (&self.name, format!("{}-admin", self.name));
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {
                "server": self.server,
                "certificate-authority-data": data(&self.ca_certificate),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": data(&self.client.certificate),
                "client-key-data": data(&self.client.key),
            }}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "current-context": name,
        })
    }

    /// Writes it, readable by its owner alone.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            private_file::make_folder(parent)?;
        }
        private_file::write(path, &self.text())
    }
}
