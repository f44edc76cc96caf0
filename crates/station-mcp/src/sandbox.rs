//! Whether this kernel can keep a child within folders.
//!
//! Only asked here, by `stn doctor`. What this is not: nothing is restricted yet.

use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};

/// Whether Landlock is there and switched on (landlock(7)).
#[must_use]
pub fn is_available() -> bool {
    let asked = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    asked.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}
