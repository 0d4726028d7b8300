// What is typed and not sent yet outlives a page that is asked for again, in this tab only.

import { box, write } from './composer.js';
import { openSession } from './core.js';

const KEY = 'glovebox-draft';

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
  write(text);
}

restore();
