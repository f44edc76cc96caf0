//! Links `stn` for a fixed address on Linux (docs/decisions/0022).

#![expect(clippy::disallowed_methods, reason = "cargo says by the environment alone for what is built")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|it| it == value);
    let is_static = std::env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|it| it.contains("crt-static"));
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && !is_static {
        // Behind rustc's own `-pie`: of the two the last one counts.
        println!("cargo::rustc-link-arg-bin=stn=-no-pie");
    }
}
