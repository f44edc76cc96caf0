//! What a client brings back (`requestState`): for the caller, the request and the while that it was given out for, and unchanged.

use crate::home::Home;
use station_core::Caller;
use station_engine::{Clock, Config};
use station_llm::Script;
use station_llm::script::reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const START: i64 = 1_800_000_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_brought_back_opens_nothing_else() {
    let home = Home::new();
    let now = Arc::new(AtomicI64::new(START));
    let config = Config { clock: Clock::Manual(Arc::clone(&now)), ..home.config() };
    let open = home.open_with(config, Script::from_fn(|_| reply("Done."))).await;
    let station = &open.station;
    let ada = Caller::local().named("ada".to_owned());
    let given = station.give_out(&ada, "echo {}", "the text", HOUR).expect("there are random bytes");
    assert!(!given.contains("the text") && !given.contains(&hex("the text")), "{given}");
    let taken = |by: &Caller, request: &str, state: &str| {
        station.take_back(by, request, state).map_err(|error| error.sentence().to_owned())
    };
    // Replayed, it says the same: what it lets happen once is counted where it happens.
    for _ in 0..2 {
        assert_eq!(taken(&ada, "echo {}", &given).as_deref(), Ok("the text"));
    }
    let foreign = Err("it was not given out here for this".to_owned());
    assert_eq!(taken(&Caller::local().named("bob".to_owned()), "echo {}", &given), foreign);
    assert_eq!(taken(&ada, r#"echo {"a":1}"#, &given), foreign);
    // Every byte of it counts.
    for at in 0..given.len() {
        let mut bytes = given.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(bytes).expect("it is hex");
        assert_eq!(taken(&ada, "echo {}", &changed), foreign, "byte {at}");
    }
    for nonsense in ["", "00", "\u{0}", "not hex", &given[2..], &given[..given.len() - 2]] {
        assert_eq!(taken(&ada, "echo {}", nonsense), foreign, "{nonsense}");
    }
    now.store(START + 3_600_000_000 - 1, Ordering::SeqCst);
    assert!(taken(&ada, "echo {}", &given).is_ok());
    now.store(START + 3_600_000_000, Ordering::SeqCst);
    assert_eq!(taken(&ada, "echo {}", &given), Err("it is too old".to_owned()));
    open.close().await;
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
