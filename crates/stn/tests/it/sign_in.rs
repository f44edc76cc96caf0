//! Signing in and out over HTTP, as a browser does it, and what becomes of whoever guesses.

use crate::home::Home;
use crate::http::{Answer, Served};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// A request by a browser, or by whoever shows nothing yet.
fn send(served: &Served, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    served.send_to(&format!("/api/v1{path}"), method, headers, &body.to_string())
}

fn sign_in(served: &Served, name: &str, password: &str) -> Answer {
    send(served, "POST", "/sessions", &[], &json!({ "name": name, "password": password }))
}

/// What a browser that signed in shows from then on.
fn cookie(signed: &Answer) -> String {
    let set = signed.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect(&signed.head);
    set.split(';').next().unwrap().replace("__host-", "__Host-")
}

/// A home in which these administrators can sign in.
fn home_of(names: &[&str]) -> Home {
    let home = Home::with_init();
    for name in names {
        home.stn_reading(&["user", "create", name, "--admin", "--password"], &format!("{PASSWORD}\n")).done();
    }
    home
}

#[test]
fn a_user_signs_in_and_is_known_by_a_cookie_until_it_signs_out() {
    let home = home_of(&["ann"]);
    let served = Served::start(&home);
    let ours = format!("http://127.0.0.1:{}", served.port);
    let send = |method: &str, path: &str, headers: &[(&str, &str)], body: &Value| {
        send(&served, method, path, headers, body)
    };
    // Once there is a user nobody is let in by a socket alone.
    assert_eq!(send("GET", "/agents", &[], &json!({})).status, 401);
    let (wrong, unknown) = (sign_in(&served, "ann", "wrong"), sign_in(&served, "bob", "wrong"));
    assert_eq!((wrong.status, unknown.status), (401, 401));
    let message = |answer: &Answer| answer.json()["error"]["message"].clone();
    assert_eq!(message(&wrong), message(&unknown));
    let signed = sign_in(&served, "ann", PASSWORD);
    assert_eq!(signed.status, 201, "{}", signed.body);
    let set = signed.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().to_owned();
    assert!(set.contains("; secure; httponly; samesite=strict"), "{set}");
    let cookie = cookie(&signed);
    let known = send("GET", "/caller", &[("cookie", &cookie)], &json!({}));
    assert_eq!(known.json()["name"], "ann", "{}", known.body);
    // A page of another site cannot change anything with it.
    let make = json!({ "name": "bob", "role": "viewer" });
    for (origin, status) in [("", 403), ("http://example.com", 403), (&*ours, 201)] {
        let made = send("POST", "/users", &[("cookie", &cookie), ("origin", origin)], &make);
        assert_eq!(made.status, status, "{origin}: {}", made.body);
    }
    let out = send("DELETE", "/sessions/current", &[("cookie", &cookie), ("origin", &ours)], &json!({}));
    assert_eq!(out.status, 200, "{}", out.body);
    assert_eq!(send("GET", "/caller", &[("cookie", &cookie)], &json!({})).status, 401);
    // All of it is told.
    let audit = home.json(&["audit", "list"]);
    for action in ["create_user", "refuse_session", "create_session"] {
        let is_told = audit["audit"].as_array().unwrap().iter().any(|row| row["action"] == action);
        assert!(is_told, "{action}: {audit}");
    }
    assert!(!audit.to_string().contains("correct horse"));
}

#[test]
fn whoever_guesses_a_password_must_wait_also_for_a_name_that_nobody_has_and_no_other_name_does() {
    let home = home_of(&["ann", "bob"]);
    let served = Served::start(&home);
    let mut refusals = Vec::new();
    for name in ["ann", "nobody"] {
        // The wait doubles with each: whatever a try takes here, one of them comes too early.
        let mut wrong = 0;
        let early = loop {
            let answer = sign_in(&served, name, "a wrong password");
            if answer.status != 401 {
                break answer;
            }
            wrong += 1;
            assert!(wrong < 14, "{name} may guess on and on");
        };
        assert_eq!(early.status, 429, "{}", early.body);
        assert!(wrong >= 5, "{name} must wait after {wrong}");
        let wait = early.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).expect(&early.head);
        assert!(wait.parse::<u32>().unwrap() >= 1, "{wait}");
        assert_eq!(early.json()["error"]["retry_after_s"].to_string(), wait);
        refusals.push(early.json()["error"]["message"].clone());
    }
    assert_eq!(refusals[0], refusals[1], "that there is no such user is not told");
    assert_eq!(sign_in(&served, "bob", PASSWORD).status, 201, "nobody guessed at this name");
    served.stop();
}

#[test]
fn whoever_is_signed_out_everywhere_is_known_nowhere() {
    let home = home_of(&["ann", "bob"]);
    let served = Served::start(&home);
    let browsers = ["ann", "ann", "bob"].map(|name| cookie(&sign_in(&served, name, PASSWORD)));
    let status = |cookie: &str| send(&served, "GET", "/caller", &[("cookie", cookie)], &json!({})).status;
    assert_eq!(browsers.each_ref().map(|cookie| status(cookie)), [200, 200, 200]);
    let ours = format!("http://127.0.0.1:{}", served.port);
    let by_first = [("cookie", &*browsers[0]), ("origin", &*ours)];
    let out = send(&served, "DELETE", "/users/ann/sessions", &by_first, &json!({}));
    assert_eq!((out.status, &out.json()["sessions"]), (200, &json!(2)), "{}", out.body);
    assert_eq!(browsers.each_ref().map(|cookie| status(cookie)), [401, 401, 200], "those of another stay");
    assert_eq!(sign_in(&served, "ann", PASSWORD).status, 201, "the password is as good as before");
    served.stop();
}
