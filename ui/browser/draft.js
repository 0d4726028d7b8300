// What is typed and not sent yet outlives a page that is asked for again, in this tab only.

import { openSession } from './core.js';

const KEY = 'glovebox-draft';
const box = () => document.querySelector('#prompt textarea');

export function keep() {
  const text = box()?.value;
  if (text) sessionStorage.setItem(KEY, JSON.stringify({ text, session: openSession() }));
}

function restore() {
  const kept = sessionStorage.getItem(KEY);
  if (!kept) return;
  if (!box()) {
    setTimeout(restore, 100);
    return;
  }
  sessionStorage.removeItem(KEY);
  const { text } = JSON.parse(kept);
  // As if it were typed, so that the component behind the box knows.
  Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(box(), text);
  box().dispatchEvent(new Event('input', { bubbles: true }));
}

restore();
