//! What is believed of access tokens, row by row.

use crate::Micros;
use crate::oauth::*;
use serde_json::{Value, json};

const NOW: Micros = Micros(1_000_000_000_000);
const NOW_S: i64 = 1_000_000;

fn rules() -> TokenRules {
    TokenRules {
        issuer: "https://as.example".to_owned(),
        audience: None,
        user_claim: "sub".to_owned(),
        scope_prefix: String::new(),
        kind: TokenKind::Access,
    }
}

/// `base` with what is in `more`; `null` takes away.
fn with(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

#[test]
fn a_head_says_how_a_token_is_signed_and_that_it_is_one() {
    let check = |rules: &TokenRules, more: Value, expected: Result<Algorithm, &str>| {
        let head = with(json!({ "alg": "RS256", "typ": "at+jwt", "kid": "1" }), &more);
        let found = rules.head(&head).map(|head| head.algorithm);
        assert_eq!(found, expected.map_err(str::to_owned), "{head}");
    };
    let (strict, lax) = (rules(), TokenRules { kind: TokenKind::Any, ..rules() });
    check(&strict, json!({}), Ok(Algorithm::Rs256));
    check(&strict, json!({ "alg": "ES256" }), Ok(Algorithm::Es256));
    check(&strict, json!({ "alg": "EdDSA" }), Ok(Algorithm::EdDsa));
    check(&strict, json!({ "alg": "Ed25519", "typ": "application/AT+JWT" }), Ok(Algorithm::EdDsa));
    for alg in ["none", "None", "HS256", "RS1", "rs256", "ES384", ""] {
        check(&strict, json!({ "alg": alg }), Err("is not signed by RS256, ES256 or EdDSA"));
        check(&lax, json!({ "alg": alg }), Err("is not signed by RS256, ES256 or EdDSA"));
    }
    check(&strict, json!({ "alg": null }), Err("is not signed by RS256, ES256 or EdDSA"));
    let kind = Err("does not say that it is an access token: its `typ` must be `at+jwt`");
    for typ in [json!("JWT"), json!("dpop+jwt"), json!("logout+jwt"), json!(null), json!(7)] {
        check(&strict, json!({ "typ": typ }), kind);
        check(&lax, json!({ "typ": typ }), Ok(Algorithm::Rs256));
    }
    let critical = Err("asks for something that must be understood (`crit`), and is not here");
    check(&strict, json!({ "crit": ["b64"] }), critical);
    check(&strict, json!({ "crit": [] }), critical);
}

#[test]
fn claims_are_for_us_now_and_of_the_one_issuer() {
    let check = |more: Value, expected: Result<&str, &str>| {
        let base = json!({
            "iss": "https://as.example", "aud": "https://s.example/mcp", "sub": "ann", "scope": "run",
            "exp": NOW_S + 60,
        });
        let claims = with(base, &more);
        let audiences = ["https://s.example".to_owned(), "https://s.example/mcp".to_owned()];
        let found = rules().claims(&claims, &audiences, NOW).map(|token| token.user);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{claims}");
    };
    check(json!({}), Ok("ann"));
    for iss in [
        json!("https://as.example/"),
        json!("https://evil.example"),
        json!(null),
        json!(["https://as.example"]),
    ] {
        check(json!({ "iss": iss }), Err("is from another issuer"));
    }
    check(json!({ "aud": ["https://other.example", "https://s.example/mcp"] }), Ok("ann"));
    check(json!({ "aud": "https://s.example/" }), Ok("ann"));
    for aud in [
        json!("https://s.example/mcp/env/default"),
        json!("https://s.example.evil/mcp"),
        json!("https://s.example/mcp https://s.example"),
        json!(["https://other.example"]),
        json!([]),
        json!(null),
        json!({ "0": "https://s.example/mcp" }),
    ] {
        check(json!({ "aud": aud }), Err("is not for this address (`aud`)"));
    }
    // Half a minute of two clocks that differ.
    check(json!({ "exp": NOW_S - 29 }), Ok("ann"));
    check(json!({ "exp": NOW_S - 30 }), Err("has expired"));
    check(json!({ "exp": 0 }), Err("has expired"));
    check(json!({ "exp": -1.5e300 }), Err("has expired"));
    check(json!({ "exp": f64::MAX }), Ok("ann"));
    check(json!({ "exp": NOW_S as f64 + 0.5 }), Ok("ann"));
    for exp in [json!(null), json!("4000000000"), json!(true)] {
        check(json!({ "exp": exp }), Err("does not say when it ends (`exp`)"));
    }
    check(json!({ "nbf": NOW_S + 30 }), Ok("ann"));
    check(json!({ "nbf": NOW_S + 31 }), Err("is not good yet (`nbf`)"));
    check(json!({ "nbf": "0" }), Err("does not say when it begins (`nbf`)"));
    let bound = Err("is bound to a key of its client (`cnf`), which is not looked at here");
    check(json!({ "cnf": { "jkt": "x" } }), bound);
    for sub in [json!(null), json!(""), json!(7), json!(["ann"])] {
        check(json!({ "sub": sub }), Err("names no user: it has no `sub`"));
    }
}

#[test]
fn a_token_that_lets_somebody_in_is_not_over_at_once() {
    let ours = ["https://s.example".to_owned()];
    let claims =
        json!({ "iss": "https://as.example", "aud": "https://s.example", "sub": "ann", "exp": NOW_S - 29 });
    let token = rules().claims(&claims, &ours, NOW).unwrap();
    assert_eq!(token.expires_at, Micros((NOW_S + 1) * 1_000_000));
}

#[test]
fn an_audience_that_the_operator_names_is_ours_too() {
    let rules = TokenRules { audience: Some("api://station".to_owned()), ..rules() };
    let claims =
        |aud: &str| json!({ "iss": "https://as.example", "aud": aud, "sub": "ann", "exp": NOW_S + 1 });
    let ours = ["https://s.example".to_owned()];
    assert!(rules.claims(&claims("api://station"), &ours, NOW).is_ok());
    assert!(rules.claims(&claims("https://s.example"), &ours, NOW).is_ok());
    assert!(rules.claims(&claims("api://other"), &ours, NOW).is_err());
}

#[test]
fn an_address_that_nobody_verified_names_nobody() {
    let rules = TokenRules { user_claim: "email".to_owned(), ..rules() };
    let user = |more: Value| {
        let base =
            json!({ "iss": "https://as.example", "aud": "a", "exp": NOW_S + 1, "email": "ann@example.com" });
        rules.claims(&with(base, &more), &["a".to_owned()], NOW).map(|token| token.user)
    };
    assert_eq!(user(json!({})).as_deref(), Ok("ann@example.com"));
    assert_eq!(user(json!({ "email_verified": true })).as_deref(), Ok("ann@example.com"));
    for said in [json!(false), json!("false")] {
        let refused = user(json!({ "email_verified": said }));
        assert_eq!(refused.unwrap_err(), "has an `email` that its issuer did not verify");
    }
}

#[test]
fn scopes_are_read_as_issuers_write_them() {
    let check = |prefix: &str, more: Value, expected: &str| {
        let rules = TokenRules { scope_prefix: prefix.to_owned(), ..rules() };
        let base = json!({ "iss": "https://as.example", "aud": "a", "exp": NOW_S + 1, "sub": "ann" });
        let token = rules.claims(&with(base, &more), &["a".to_owned()], NOW).unwrap();
        let shown: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(shown.join(" "), expected, "{prefix} {more}");
    };
    check("", json!({ "scope": "openid read edit" }), "read edit");
    check("", json!({ "scope": "approve" }), "read approve");
    check("", json!({ "scope": ["run", "admin"] }), "read run admin");
    check("", json!({ "scp": "run" }), "read run");
    check("", json!({ "scp": ["run"], "scope": "edit" }), "read run edit");
    check("", json!({ "scope": "openid profile READ run,edit" }), "");
    check("", json!({}), "");
    check("station:", json!({ "scope": "station:run admin" }), "read run");
    check("station:", json!({ "scope": "read" }), "");
}

#[test]
fn a_key_is_found_by_its_name_and_by_what_it_is_for() {
    let rsa = |more: Value| with(json!({ "kty": "RSA", "n": "n", "e": "AQAB" }), &more);
    let find = |keys: Vec<Value>, algorithm: Algorithm, kid: Option<&str>| {
        let set = KeySet::read(&json!({ "keys": keys }));
        let head = TokenHead { algorithm, kid: kid.map(str::to_owned) };
        set.find(&head).map(|key| match &key.numbers {
            Numbers::Rsa { n, .. } => n.clone(),
            Numbers::P256 { x, .. } | Numbers::Ed25519 { x } => x.clone(),
        })
    };
    let one = || {
        vec![
            rsa(json!({ "kid": "a" })),
            json!({ "kty": "EC", "crv": "P-256", "kid": "b", "x": "x", "y": "y" }),
        ]
    };
    assert_eq!(find(one(), Algorithm::Rs256, Some("a")).as_deref(), Some("n"));
    assert_eq!(find(one(), Algorithm::Es256, Some("b")).as_deref(), Some("x"));
    // A name leads to no key of another kind.
    assert_eq!(find(one(), Algorithm::Es256, Some("a")), None);
    assert_eq!(find(one(), Algorithm::Rs256, Some("c")), None);
    // Without a name there must be one alone that fits.
    assert_eq!(find(one(), Algorithm::Rs256, None).as_deref(), Some("n"));
    assert_eq!(
        find(vec![rsa(json!({ "kid": "a" })), rsa(json!({ "kid": "b" }))], Algorithm::Rs256, None),
        None
    );
    // What is for something else, or is no public key of a kind that is used here, is no key.
    for other in [
        rsa(json!({ "use": "enc" })),
        rsa(json!({ "alg": "PS256" })),
        rsa(json!({ "n": null })),
        json!({ "kty": "oct", "k": "secret" }),
        json!({ "kty": "EC", "crv": "P-384", "x": "x", "y": "y" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "x" }),
        json!("key"),
    ] {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            assert_eq!(find(vec![other.clone()], algorithm, None), None, "{other}");
        }
    }
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": "x", "use": "sig", "alg": "EdDSA" });
    assert_eq!(find(vec![okp], Algorithm::EdDsa, None).as_deref(), Some("x"));
    assert_eq!(KeySet::read(&json!([])), KeySet::default());
}

#[test]
fn an_issuer_says_where_its_keys_are() {
    let check = |document: Value, expected: Result<&str, &str>| {
        let found = jwks_url(&document, "https://as.example").map(String::from);
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{document}");
    };
    let of = |issuer: &str, jwks: &str| json!({ "issuer": issuer, "jwks_uri": jwks });
    check(of("https://as.example", "https://as.example/jwks"), Ok("https://as.example/jwks"));
    check(
        of("https://evil.example", "https://evil.example/jwks"),
        Err("is described by a document of `https://evil.example`, which is not believed"),
    );
    check(of("https://as.example", "jwks"), Err("does not say where its keys are: `jwks_uri`"));
}
