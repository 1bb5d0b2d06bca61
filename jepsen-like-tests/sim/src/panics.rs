//! Panics of a run's tasks, which the runtime would swallow: an assertion that failed is a finding.
//!
//! Invariant: panics are kept by thread, as each run has one to itself.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Listens for panics of this thread from here on, instead of printing them.
pub(crate) fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !heard(info) {
                usual(info);
            }
        }));
    });
    HEARD.with_borrow_mut(|heard| *heard = Some(Vec::new()));
}

/// What was heard since [`listen`]; ends the listening.
pub(crate) fn take() -> Vec<String> {
    HEARD.with_borrow_mut(Option::take).unwrap_or_default()
}

fn heard(info: &PanicHookInfo<'_>) -> bool {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "a panic without words".to_owned());
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    HEARD.with_borrow_mut(|heard| match heard {
        Some(heard) => {
            heard.push(format!("panic: {text}{place}"));
            true
        }
        None => false,
    })
}
