//! What services are given: cluster addresses and node ports, unique over all API servers.
//!
//! A cluster address is taken by creating the `IPAddress` object of its name; a node port by
//! setting its bit in the one `RangeAllocation`, by compare-and-swap. Both are where kube-apiserver
//! keeps them.
//!
//! Invariants: what a stored service has is taken; a taken address may be without a service for a
//! moment (between the two writes, or for good when a server dies there), never the other way
//! round.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schema::Value;
use serde_json::json;

use super::cidr::Cidr;
use super::object;
use super::refusals;
use super::row::Resource;
use super::service_type::{self, wants_address, wants_health_port, wants_ports};
use super::serving::Registry;
use crate::status::{FieldErrors, FieldPath, Status};
use crate::storage::{Revision, Written};

/// Where the node ports that are taken stand.
const PORTS_KEY: &str = "/ranges/servicenodeports";
const PORT_MIN: u16 = 30_000;
const PORT_MAX: u16 = 32_767;
/// How often a write of the ports begins again.
const ATTEMPTS_MAX: usize = 1000;

/// What a service has.
#[derive(Debug, Default, PartialEq)]
struct Held {
    addresses: Vec<String>,
    ports: Vec<u16>,
}

impl Held {
    fn of(service: &Value) -> Self {
        let spec = &service["spec"];
        let list = spec["clusterIPs"].as_array().into_iter().flatten();
        let mut addresses: Vec<String> =
            list.filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(one) = spec["clusterIP"].as_str()
            && !addresses.iter().any(|known| known == one)
        {
            addresses.push(one.to_owned());
        }
        addresses.retain(|address| !address.is_empty() && address != "None");
        let list = spec["ports"].as_array().into_iter().flatten();
        let health = spec["healthCheckNodePort"].as_u64();
        let ports = list.filter_map(|port| port["nodePort"].as_u64()).chain(health);
        let mut ports: Vec<u16> =
            ports.filter_map(|port| u16::try_from(port).ok()).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        Self { addresses, ports }
    }

    fn without(self, other: &Self) -> Self {
        Self {
            addresses: self
                .addresses
                .into_iter()
                .filter(|address| !other.addresses.contains(address))
                .collect(),
            ports: self.ports.into_iter().filter(|port| !other.ports.contains(port)).collect(),
        }
    }
}

impl Registry {
    /// Gives a service what it asks for and does not have.
    ///
    /// *Errors*: 422 for an address or port that is taken or outside the range; nothing is taken
    /// then.
    pub(super) async fn take_addresses(
        &self,
        row: &Resource,
        service: &mut Value,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<(), Status> {
        if !row.rule.takes_addresses {
            return Ok(());
        }
        match old {
            Some(old) => service_type::follow(service, old),
            None => service_type::begin(service),
        }
        let Some(addresses) = self.addresses() else { return Ok(()) };
        let had = old.map(Held::of).unwrap_or_default();
        let asked = Held::of(service).without(&had);
        let mut taken = Held::default();
        let outcome = self.take_all(row, addresses, service, &asked, &mut taken, dry_run).await;
        if outcome.is_err() {
            self.release(service, taken, dry_run).await;
        }
        outcome
    }

    async fn take_all(
        &self,
        row: &Resource,
        range: Cidr,
        service: &mut Value,
        asked: &Held,
        taken: &mut Held,
        dry_run: bool,
    ) -> Result<(), Status> {
        // A list without the first address is refused by validation: nothing is taken for it.
        let listed = service["spec"]["clusterIPs"].as_array().is_some_and(|list| !list.is_empty());
        let single = service["spec"]["clusterIP"].as_str().unwrap_or_default();
        if wants_address(service) && !(listed && single.is_empty()) {
            for address in &asked.addresses {
                self.take_named(row, range, service, address, dry_run).await?;
                taken.addresses.push(address.clone());
            }
            if service["spec"]["clusterIP"].as_str().unwrap_or_default().is_empty() {
                let address = self.take_any(row, range, service, dry_run).await?;
                service["spec"]["clusterIP"] = Value::from(address.clone());
                service["spec"]["clusterIPs"] = json!([address]);
                taken.addresses.push(address);
            }
            if service["spec"]["clusterIPs"].is_null() {
                service["spec"]["clusterIPs"] = json!([service["spec"]["clusterIP"]]);
            }
        }
        service_type::describe_families(service);
        self.take_ports(row, service, asked, taken, dry_run).await
    }

    async fn take_named(
        &self,
        row: &Resource,
        range: Cidr,
        service: &Value,
        address: &str,
        dry_run: bool,
    ) -> Result<(), Status> {
        let refuse = |why: &str| {
            let mut errors = FieldErrors::new();
            let path = FieldPath::new("spec").child("clusterIPs");
            let shown = service["spec"]["clusterIPs"].clone();
            let shown = if shown.is_null() { json!([address]) } else { shown };
            errors.invalid(&path, shown, format!("failed to allocate IP {address}: {why}"));
            self.invalid(row, service, errors)
        };
        let Ok(parsed) = address.parse::<Ipv4Addr>() else { return Ok(()) };
        if !range.holds(parsed) {
            return Err(refuse("the provided network does not match the current range"));
        }
        if let Some(why) = no_parent(service, address).filter(|_| !dry_run) {
            return Err(refuse(&why));
        }
        if self.claim(service, address, dry_run).await? {
            return Ok(());
        }
        Err(refuse("provided IP is already allocated"))
    }

    async fn take_any(
        &self,
        row: &Resource,
        range: Cidr,
        service: &Value,
        dry_run: bool,
    ) -> Result<String, Status> {
        for address in range.candidates(self.seams().entropy.next()) {
            let address = address.to_string();
            if let Some(why) = no_parent(service, &address).filter(|_| !dry_run) {
                let mut errors = FieldErrors::new();
                let path = FieldPath::new("spec").child("clusterIPs");
                errors.invalid(&path, json!([""]), format!("failed to allocate IP: {why}"));
                return Err(self.invalid(row, service, errors));
            }
            if self.claim(service, &address, dry_run).await? {
                return Ok(address);
            }
        }
        Err(Status::internal("failed to allocate a serviceIP: range is full"))
    }

    /// Creates the object of an address; false if it is there.
    async fn claim(&self, service: &Value, address: &str, dry_run: bool) -> Result<bool, Status> {
        let Some(row) = self.resource("networking.k8s.io", "v1", "ipaddresses") else {
            return Ok(true);
        };
        let key = row.key("", address);
        let failed = |error| refusals::of_storage(row, "create", &error);
        if dry_run {
            let got = self.storage().get(&key).await.map_err(failed)?;
            return Ok(got.stored.is_none());
        }
        let object = json!({
            "apiVersion": row.stored_api_version(),
            "kind": row.kind(),
            "metadata": {
                "name": address,
                "uid": self.seams().uid(),
                "creationTimestamp": self.seams().now_text(),
                "labels": {
                    "ipaddress.kubernetes.io/ip-family": "IPv4",
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                },
            },
            "spec": {"parentRef": {
                "resource": "services",
                "namespace": object::text(service, "namespace"),
                "name": object::text(service, "name"),
            }},
        });
        let bytes = serde_json::to_vec(&object).map_err(Status::internal)?;
        let written = self.storage().create(&key, bytes.into(), None).await.map_err(failed)?;
        Ok(matches!(written, Written::Done { .. }))
    }

    async fn take_ports(
        &self,
        row: &Resource,
        service: &mut Value,
        asked: &Held,
        taken: &mut Held,
        dry_run: bool,
    ) -> Result<(), Status> {
        if !asked.ports.is_empty() {
            self.take_named_ports(row, service, &asked.ports, dry_run).await?;
            taken.ports.extend(&asked.ports);
        }
        if !wants_ports(service) {
            return Ok(());
        }
        let count = service["spec"]["ports"].as_array().map_or(0, Vec::len);
        for at in 0..count {
            let port = &service["spec"]["ports"][at];
            if port["nodePort"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            let port = self.take_any_port(row, dry_run).await?;
            service["spec"]["ports"][at]["nodePort"] = Value::from(port);
            taken.ports.push(port);
        }
        let health = service["spec"]["healthCheckNodePort"].as_u64().unwrap_or(0);
        if wants_health_port(service) && health == 0 {
            let port = self.take_any_port(row, dry_run).await?;
            service["spec"]["healthCheckNodePort"] = Value::from(port);
            taken.ports.push(port);
        }
        Ok(())
    }

    async fn take_named_ports(
        &self,
        row: &Resource,
        service: &Value,
        ports: &[u16],
        dry_run: bool,
    ) -> Result<(), Status> {
        let list = service["spec"]["ports"].as_array().into_iter().flatten();
        let place = |wanted: u16| {
            let index =
                list.clone().position(|p| p["nodePort"].as_u64() == Some(u64::from(wanted)));
            let path = FieldPath::new("spec");
            match index {
                Some(index) => path.child("ports").index(index).child("nodePort"),
                None => path.child("healthCheckNodePort"),
            }
        };
        let refuse = |port: u16, why: &str| {
            let mut errors = FieldErrors::new();
            errors.invalid(&place(port), i64::from(port), why);
            self.invalid(row, service, errors)
        };
        if let Some(port) = ports.iter().find(|port| !(PORT_MIN..=PORT_MAX).contains(port)) {
            let why = format!(
                "provided port is not in the valid range. The range of valid ports is \
                 {PORT_MIN}-{PORT_MAX}"
            );
            return Err(refuse(*port, &why));
        }
        self.change_ports(row, dry_run, |bits| {
            if let Some(port) = ports.iter().find(|port| bits.has(**port)) {
                return Err(refuse(*port, "provided port is already allocated"));
            }
            ports.iter().for_each(|port| bits.set(*port, true));
            Ok(())
        })
        .await
    }

    async fn take_any_port(&self, row: &Resource, dry_run: bool) -> Result<u16, Status> {
        let random = self.seams().entropy.next();
        let mut found = 0;
        self.change_ports(row, dry_run, |bits| {
            found = bits
                .free_from(random)
                .ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?;
            bits.set(found, true);
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Changes the ports that are taken, again and again until nobody else did at the same time.
    async fn change_ports<F>(&self, row: &Resource, dry_run: bool, mut f: F) -> Result<(), Status>
    where
        F: FnMut(&mut Ports) -> Result<(), Status> + Send,
    {
        let failed = |error| refusals::of_storage(row, "update", &error);
        let mut stored = self.storage().get(PORTS_KEY).await.map_err(failed)?.stored;
        for _ in 0..ATTEMPTS_MAX {
            let mut ports = match &stored {
                Some(stored) => Ports::read(&stored.value)?,
                None => Ports::empty(),
            };
            f(&mut ports)?;
            if dry_run {
                return Ok(());
            }
            let value = ports.write()?;
            let revision = stored.as_ref().map_or(Revision::NONE, |stored| stored.revision);
            let written = match revision {
                Revision::NONE => self.storage().create(PORTS_KEY, value.into(), None).await,
                at => self.storage().replace(PORTS_KEY, at, value.into(), None).await,
            };
            match written.map_err(failed)? {
                Written::Done { .. } => return Ok(()),
                Written::Changed { current, .. } => stored = current,
            }
        }
        Err(Status::too_many_requests("too many services at the same time", 1))
    }

    /// Gives back what a service had and the one that stays does not have.
    pub(super) async fn release_addresses(
        &self,
        row: &Resource,
        gone: &Value,
        stays: Option<&Value>,
        dry_run: bool,
    ) {
        if !row.rule.takes_addresses || self.addresses().is_none() || dry_run {
            return;
        }
        let stays = stays.map(Held::of).unwrap_or_default();
        self.release(gone, Held::of(gone).without(&stays), dry_run).await;
    }

    async fn release(&self, service: &Value, held: Held, dry_run: bool) {
        if dry_run {
            return;
        }
        for address in &held.addresses {
            if let Err(error) = self.give_back(service, address).await {
                tracing::warn!(address, error = error.message, "a cluster address is not free yet");
            }
        }
        let Some(row) = self.resource("", "v1", "services").filter(|_| !held.ports.is_empty())
        else {
            return;
        };
        let freed = self
            .change_ports(row, false, |bits| {
                held.ports.iter().for_each(|port| bits.set(*port, false));
                Ok(())
            })
            .await;
        if let Err(error) = freed {
            tracing::warn!(error = error.message, "node ports are not free yet");
        }
    }

    /// Removes the object of an address if it is this service's.
    async fn give_back(&self, service: &Value, address: &str) -> Result<(), Status> {
        let Some(row) = self.resource("networking.k8s.io", "v1", "ipaddresses") else {
            return Ok(());
        };
        let Some(current) = self.newest(row, "", address).await? else { return Ok(()) };
        let parent = &current.value["spec"]["parentRef"];
        let ours = parent["name"] == object::text(service, "name")
            && parent["namespace"] == object::text(service, "namespace");
        if ours {
            let deleted = self.storage().delete_if(&row.key("", address), current.revision).await;
            deleted.map_err(|error| refusals::of_storage(row, "delete", &error))?;
        }
        Ok(())
    }
}

/// Why no address can be given to a service without a name: its object would name nobody.
///
/// Compat: the real one takes addresses before it looks at names.
fn no_parent(service: &Value, address: &str) -> Option<String> {
    object::text(service, "name").is_empty().then(|| {
        let object = format!("IPAddress.networking.k8s.io {address:?}");
        format!("{object} is invalid: spec.parentRef.name: Required value")
    })
}

/// The node ports that are taken: a big-endian number without leading zero bytes, as Go's
/// `big.Int` writes it, whose bit n is the port `PORT_MIN + n`.
struct Ports {
    object: Value,
    /// Little-endian: byte n/8, bit n%8.
    bits: Vec<u8>,
}

impl Ports {
    fn empty() -> Self {
        let range = format!("{PORT_MIN}-{PORT_MAX}");
        let object = json!({
            "apiVersion": "v1", "kind": "RangeAllocation", "metadata": {}, "range": range,
        });
        Self { object, bits: Vec::new() }
    }

    fn read(value: &[u8]) -> Result<Self, Status> {
        let object = if value.starts_with(&schema::protobuf::MAGIC) {
            let schema = schema::types::Schema::builtin();
            schema::protobuf::decode(schema, value).map_err(Status::internal)?.1
        } else {
            serde_json::from_slice(value).map_err(Status::internal)?
        };
        let text = object["data"].as_str().unwrap_or_default();
        let mut bits = STANDARD.decode(text).map_err(Status::internal)?;
        bits.reverse();
        Ok(Self { object, bits })
    }

    fn write(&self) -> Result<Vec<u8>, Status> {
        let mut bits = self.bits.clone();
        while bits.last() == Some(&0) {
            bits.pop();
        }
        bits.reverse();
        let mut object = self.object.clone();
        object["data"] = Value::from(STANDARD.encode(bits));
        serde_json::to_vec(&object).map_err(Status::internal)
    }

    fn place(port: u16) -> (usize, u8) {
        let n = usize::from(port - PORT_MIN);
        (n / 8, 1 << (n % 8))
    }

    fn has(&self, port: u16) -> bool {
        let (byte, bit) = Self::place(port);
        self.bits.get(byte).is_some_and(|found| found & bit != 0)
    }

    fn set(&mut self, port: u16, taken: bool) {
        if !(PORT_MIN..=PORT_MAX).contains(&port) {
            return;
        }
        let (byte, bit) = Self::place(port);
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, 0);
        }
        if taken {
            self.bits[byte] |= bit;
        } else {
            self.bits[byte] &= !bit;
        }
    }

    fn free_from(&self, random: u64) -> Option<u16> {
        let count = u64::from(PORT_MAX - PORT_MIN) + 1;
        (0..count)
            .map(|step| (random % count + step) % count)
            .filter_map(|n| u16::try_from(n).ok())
            .map(|n| PORT_MIN + n)
            .find(|port| !self.has(*port))
    }
}
