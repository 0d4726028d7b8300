// What Gradio leaves unnamed or names wrongly, for whoever does not see the page (WCAG 2.2: 1.3.1, 4.1.2).

import { say } from './core.js';

function repair() {
  const all = (where) => document.querySelectorAll(where);
  // Its children are buttons, not items.
  for (const list of all('#conversation .examples[role=list]')) list.removeAttribute('role');
  for (const message of all('#conversation [data-testid][aria-label]:not([role])')) message.setAttribute('role', 'group');
  for (const button of all('#conversation button[aria-label=""]')) button.setAttribute('aria-label', button.title || say('more'));
  // The whole title unfolds a cell; the arrow in it is only a picture of that.
  for (const arrow of all('#conversation [role=button] .arrow button:not([disabled])')) arrow.disabled = true;
}

let due = false;
new MutationObserver(() => {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    repair();
  });
}).observe(document.body, { childList: true, subtree: true });
repair();
