// What makes pages pleasanter. Every essential act works without it.
"use strict";

// Copy: a button beside a read-only field. It is of no use without this script, so it is hidden.
for (const button of document.querySelectorAll("button[data-copies]")) {
  const field = document.getElementById(button.dataset.copies);
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select?.();
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
    } catch {
      // Without the right to the clipboard (plain HTTP) the old way is left.
      if (!field.select) getSelection().selectAllChildren(field);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 2000);
  });
}

// Print: what is shown once may be kept on paper.
for (const button of document.querySelectorAll("button[data-prints]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A form is sent once, however often its button is pressed.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
}

// Presets of a date: buttons that fill in a day so many days from now, or none at all.
for (const button of document.querySelectorAll("button[data-days]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.fills);
    const day = new Date(Date.now() + Number(button.dataset.days) * 86_400_000);
    field.value = button.dataset.days ? day.toISOString().slice(0, 10) : "";
    field.focus();
  });
}

// Filters apply when they are changed.
for (const form of document.querySelectorAll("form[data-applies]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// A box that ticks all others of a name. It is of no use without this script, so it is hidden.
for (const all of document.querySelectorAll("input[data-ticks]")) {
  const boxes = [...document.querySelectorAll(`input[name="${all.dataset.ticks}"][type=checkbox]`)];
  all.parentElement.hidden = boxes.length === 0;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) {
    box.addEventListener("change", () => {
      all.checked = boxes.every((one) => one.checked);
      all.indeterminate = !all.checked && boxes.some((one) => one.checked);
    });
  }
}

// Whoever comes back to a page with the button of the browser finds no secret in it.
addEventListener("pagehide", () => {
  for (const field of document.querySelectorAll("[data-secret]")) {
    if ("value" in field) field.value = "";
    else field.textContent = "";
  }
});
addEventListener("pageshow", (event) => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  if (event.persisted && document.querySelector("[data-secret]")) location.reload();
});
