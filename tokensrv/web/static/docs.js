// Trying an operation of the API: the token stays in its field, in no address and in no storage.
"use strict";

// What an answer's headers tell people.
const TOLD = [
  "Content-Type", "Link", "X-Total", "X-Next-Page", "WWW-Authenticate", "Retry-After",
  "Tokensrv-Actor", "Tokensrv-Subject", "X-Request-Id",
];

const credentials = document.getElementById("credentials");
credentials.hidden = false;
credentials.addEventListener("submit", (event) => event.preventDefault());

for (const form of document.querySelectorAll("form[data-tries]")) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("[data-answer]");
    shown.replaceChildren(paragraph("Asking …"));
    try {
      shown.replaceChildren(...(await answered(form)));
    } catch (problem) {
      shown.replaceChildren(paragraph(`No answer: ${problem.message}`));
    }
  });
}

async function answered(form) {
  const answer = await fetch(addressOf(form), {
    method: form.dataset.method,
    headers: headersOf(form),
    body: form.elements.body?.value.trim() || undefined,
    // The API takes tokens alone, never the session of this browser.
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
  });
  const told = TOLD.filter((name) => answer.headers.has(name));
  const lines = told.map((name) => `${name}: ${answer.headers.get(name)}`);
  return [
    paragraph(`${answer.status} ${answer.statusText}`),
    block("Headers", lines.join("\n")),
    block("Body", pretty(await answer.text())),
  ];
}

function addressOf(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("input[data-place]")) {
    if (field.dataset.place === "path") {
      path = path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value) {
      query.set(field.name, field.value);
    }
  }
  return query.size ? `${path}?${query}` : path;
}

function headersOf(form) {
  const given = {
    "PRIVATE-TOKEN": document.getElementById("token").value.trim(),
    Sudo: document.getElementById("sudo").value.trim(),
    "Sudo-Reason": document.getElementById("sudo-reason").value.trim(),
    "Content-Type": form.elements.body?.value.trim() ? "application/json" : "",
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text || "(empty)";
  }
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

// A new secret may stand in it, so it goes when the page is left, as every shown secret does.
function block(label, text) {
  const made = document.createElement("pre");
  made.textContent = text;
  made.tabIndex = 0;
  made.setAttribute("role", "region");
  made.setAttribute("aria-label", label);
  made.dataset.secret = "";
  return made;
}
