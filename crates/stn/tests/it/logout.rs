//! Keys of servers, forgotten.

use crate::at_server::url;
use crate::home::Home;
use crate::login::{logins, served};
use expect_test::expect;

#[test]
fn a_key_is_forgotten_and_one_that_was_given_stays_good() {
    let (_home, served, key) = served();
    let address = url(&served);
    let mine = Home::new();
    mine.stn(&["logout"]).is(&expect![[r#"
        --- stderr
        error: name the server whose key is to be forgotten
        hint: there is none for any server
        --- exit 1
    "#]]);
    mine.stn_reading(&["login", &address], &key).done();
    mine.stn(&["logout", "https://station.example.com"]).exits(1);
    let said = mine.stn(&["logout", "--server", &address]);
    assert_eq!(
        said.shown().replace(&address, "URL"),
        "--- stderr\nThe key of `root` for URL is forgotten.\n"
    );
    assert!(logins(mine.path()).is_empty());
    mine.stn(&["agent", "list", "--server", &address]).exits(1);
    mine.stn_reading(&["login", &address], &key).done();
    // The server need not be there to forget a key.
    served.stop();
    mine.stn(&["logout"]).done();
}
