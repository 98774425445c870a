// Passkeys: a form that only a device can fill in. The server says what is to be made or signed, the
// device does it when its user agrees, and the form is sent with the answer.
"use strict";

const PROBLEMS = {
  AbortError: "It was cancelled.",
  InvalidStateError: "This device has a passkey for your account already.",
  NotAllowedError: "It was cancelled, took too long, or there is no passkey on this device.",
  SecurityError: "Your browser allows no passkeys at this address.",
};

async function ask(form) {
  const body = new URLSearchParams(new FormData(form));
  const answer = await fetch(form.dataset.options, { method: "POST", body });
  if (answer.redirected) {
    // There is something to prove first: the form leads there, and back with what is typed in.
    form.submit();
    return new Promise(() => {});
  }
  if (!answer.ok) throw new Error("Something is not right. Reload the page and try again.");
  return answer.json();
}

async function use(form) {
  const options = await ask(form);
  const credential =
    form.dataset.passkey === "make"
      ? await navigator.credentials.create({
          publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
        })
      : await navigator.credentials.get({
          publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
        });
  return JSON.stringify(credential.toJSON());
}

const isPossible = "parseCreationOptionsFromJSON" in (window.PublicKeyCredential ?? {});

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const problem = form.querySelector("[data-problem]");
  form.hidden = !isPossible;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.hidden = true;
    try {
      form.elements.passkey.value = await use(form);
      form.submit();
    } catch (error) {
      problem.textContent = PROBLEMS[error.name] ?? error.message;
      problem.hidden = false;
      delete form.dataset.sent;
    }
  });
}

for (const hint of document.querySelectorAll("[data-without-passkeys]")) hint.hidden = isPossible;
