// The message box. What is typed there is the browser's own: it is taken out in the moment in which it is sent, it comes
// back when it was not taken, and nothing else ever writes over it.

import { fetched, glovebox, node, openSession, part } from './core.js';

const { get: valueOf, set: setValue } = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value');
export const box = () => document.querySelector('#prompt textarea');

// As if it were typed, so that the component behind the box knows.
export function write(text) {
  setValue.call(box(), text);
  box().dispatchEvent(new Event('input', { bubbles: true }));
}

// Gradio writes text and files together, the text as it was some frames ago: it is told what the text is now.
function guard() {
  const here = box();
  if (!here) {
    setTimeout(guard, 50);
    return;
  }
  let typed = here.value;
  here.addEventListener('input', () => { typed = valueOf.call(here); });
  Object.defineProperty(here, 'value', {
    configurable: true,
    get: () => valueOf.call(here),
    set: (text) => {
      if (text !== typed) queueMicrotask(() => write(typed));
    },
  });
}
guard();

// Events of the page's component, which Gradio's own parts listen to: a line above the box, and the files in it.
const tell = async (event, told) => {
  Object.assign(glovebox, told);
  (await part('sender')).trigger(event);
};

const picked = (name) => document.querySelector(`#${name} input`)?.value || null;

let carried = { session: '', names: {} };
let before = Promise.resolve();

function send() {
  const text = box().value;
  const files = glovebox.attached;
  if (!text.trim() && !files.length) return;
  write('');
  if (files.length) tell('attached', { attached: [] });
  // One after the other: the first one of a new session makes it.
  before = before.then(() => deliver(text, files));
}

async function deliver(text, files) {
  const session = openSession();
  if (carried.session !== session) carried = { session, names: {} };
  let told;
  try {
    told = await fetched('POST', 'send', {
      session, text, model: picked('model'), profile: picked('profile'), approval: picked('approval'), files: files.map((file) => file.path), carried: carried.names,
    });
  } catch (problem) {
    told = { sent: false, session, notice: node('p', { class: 'gb-notice gb-error', role: 'alert' }, problem.message).outerHTML };
  }
  if (!told.sent) giveBack(text, files);
  carried = { session: told.session, names: told.sent ? {} : told.carried ?? carried.names };
  tell('said', { said: told.notice });
  if (told.session !== session && openSession() === session) {
    glovebox.open(told.session);
    (await part('sessions')).trigger('choose', { id: told.session });
  } else if (files.length) window.dispatchEvent(new CustomEvent('glovebox:changed'));
  window.dispatchEvent(new CustomEvent('glovebox:sent'));
}

function giveBack(text, files) {
  write([text, box().value].filter((each) => each.trim()).join('\n'));
  if (files.length) tell('attached', { attached: [...files, ...glovebox.attached] });
}

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.target !== box()) return;
  event.preventDefault();
  send();
}, true);
document.addEventListener('click', (event) => {
  if (event.target.closest?.('#prompt [data-testid=submit-button]')) send();
}, true);
