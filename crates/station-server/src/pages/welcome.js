// Sets the password of an invited user by the API, and makes an API key where the person asks for one.
"use strict";

const $ = (id) => document.getElementById(id);

/** Asks the API; its answer, or an error with the sentence and the hints that it gave. */
async function ask(path, body) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("Station cannot be reached. Try again.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { message = `HTTP ${response.status}`, hints = [] } = answer.error ?? {};
  throw new Error([message, ...hints].map((it) => it.charAt(0).toUpperCase() + it.slice(1)).join(". ") + ".");
}

function tell(place, problem) {
  place.textContent = problem;
  place.hidden = problem === "";
}

// What the link says stands behind its `#`, which is sent to nobody; it is taken out of the address at once.
const invitation = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
if (invitation === "") tell($("problem"), "This address is no invitation: follow the whole link, with what stands behind its #.");

$("show").addEventListener("change", () => {
  for (const field of [$("password"), $("again")]) field.type = $("show").checked ? "text" : "password";
});

$("choose").addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = $("password").value;
  if (password !== $("again").value) return tell($("problem"), "The two are not the same.");
  const button = event.submitter ?? $("choose").querySelector("button");
  button.disabled = true;
  try {
    const caller = await ask("/invitations/accept", { invitation, password });
    $("name").textContent = caller.name;
    $("choose").hidden = true;
    $("choose").reset();
    $("done").hidden = false;
  } catch (error) {
    tell($("problem"), error.message);
  } finally {
    button.disabled = false;
  }
});

$("make-key").addEventListener("click", async () => {
  $("make-key").disabled = true;
  try {
    const made = await ask(`/users/${encodeURIComponent($("name").textContent)}/api-keys`, { name: "from the welcome page" });
    $("secret").textContent = made.secret;
    $("login").textContent = `stn login ${location.origin}`;
    $("key").hidden = false;
    $("make-key").hidden = true;
    tell($("key-problem"), "");
  } catch (error) {
    tell($("key-problem"), error.message);
    $("make-key").disabled = false;
  }
});
