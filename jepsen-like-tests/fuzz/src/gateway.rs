//! A body of the JSON gateway: the first byte says for which path.

/// Reads it as the gateway does.
pub(crate) fn read(data: &[u8]) {
    let Some((path, body)) = data.split_first() else { return };
    server::fuzz_gateway(usize::from(*path), body);
}

/// Bodies as clients send them, to every path.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 6] = [
        br#"{"key":"Zm9v","value":"YmFy","lease":"7","prev_kv":true}"#,
        br#"{"key":"Zm9v","range_end":"AA==","limit":"3","sort_order":"DESCEND","sort_target":2}"#,
        br#"{"compare":[{"result":"EQUAL","target":"MOD","key":"Zm9v","mod_revision":"1"}],
             "success":[{"request_put":{"key":"Zm9v"}}],
             "failure":[{"requestRange":{"key":"YQ"}}]}"#,
        br#"{"create_request":{"key":"Zm9v","start_revision":-1,"filters":["NOPUT",1]}}
            {"progress_request":{}}"#,
        br#"{"ID":"1","TTL":1e2,"unknown":{"a":[1,2.5,null,true,"\u00e9\ud83d\ude00"]}}"#,
        br#"{"name":"root","password":"x","options":{"no_password":false}}"#,
    ];
    let paths = 0..=u8::try_from(server::GATEWAY_PATHS - 1).expect("fewer than 256 paths");
    paths.flat_map(|path| bodies.map(|body| [&[path][..], body].concat())).collect()
}
