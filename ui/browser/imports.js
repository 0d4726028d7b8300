// A notebook becomes a session: chosen with the button above the list of sessions, or dropped onto that list.

import { glovebox, node, part, problemOf, say, sign, size } from './core.js';

const told = node('div', { class: 'gb-import', 'aria-live': 'polite' });
const picker = node('input', {
  type: 'file', accept: '.ipynb,application/x-ipynb+json', multiple: true, class: 'gb-hidden', tabindex: '-1', 'aria-hidden': 'true',
  onchange: () => { importing([...picker.files]); picker.value = ''; },
});
const pick = sign('⤒', say('import'), () => picker.click(), { id: 'import' });
// What the API takes.
const MAX_BYTES = 32 * 1024 * 1024;
let sending = null;

async function importing(files) {
  if (sending || !files.length) return;
  pick.disabled = true;
  const failed = [];
  let made = null;
  for (const file of files) {
    try {
      made = await sent(file);
    } catch (problem) {
      failed.push(say('import_failed', { name: file.name, why: problem.message }));
    }
  }
  sending = null;
  pick.disabled = false;
  told.replaceChildren();
  if (failed.length) {
    const said = failed.map((text) => node('p', { class: 'gb-remark gb-bad', role: 'alert' }, text));
    told.append(node('div', { class: 'gb-uploaded' }, said, sign('✕', say('dismiss'), () => told.replaceChildren())));
  }
  if (made) (await part('sessions')).trigger('choose', { id: made });
}

// Sends one notebook and returns the session's id.
function sent(file) {
  return new Promise((resolve, reject) => {
    if (!file.name.toLowerCase().endsWith('.ipynb')) throw new Error(say('import_kind'));
    if (file.size > MAX_BYTES) throw new Error(say('import_large', { most: size(MAX_BYTES) }));
    const asked = (sending = new XMLHttpRequest());
    const words = node('span', {}, say('importing', { name: file.name, size: size(file.size) }));
    const bar = node('progress', { 'aria-label': say('import'), max: String(Math.max(file.size, 1)) });
    told.replaceChildren(node('div', { class: 'gb-uploading' }, words, sign('✕', say('cancel'), () => asked.abort()), bar));
    asked.open('POST', `${glovebox.root}import?name=${encodeURIComponent(file.name.replace(/\.ipynb$/i, '').slice(0, 200))}`);
    // When all is sent it is still being read: then the bar moves without an end.
    asked.upload.onprogress = ({ loaded }) => { if (loaded < file.size) bar.value = loaded; else bar.removeAttribute('value'); };
    asked.onload = () => {
      const answer = parsed(asked.responseText);
      if (asked.status === 401) window.dispatchEvent(new Event('glovebox:ended'));
      if (asked.status < 300 && answer?.id) resolve(answer.id);
      else reject(problemOf(asked.status, answer));
    };
    asked.onerror = () => reject(new Error(say('upload_broke')));
    asked.onabort = () => reject(new Error(say('upload_cancelled')));
    asked.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// sessions.js, which asks for the same place before, has filled it by then.
const { element } = await part('find');
element.querySelector('.gb-search').append(pick, picker);
element.append(told);
const side = document.querySelector('#sessions-panel');
const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
const aim = (on) => side.classList.toggle('gb-aimed', on);
side.addEventListener('dragover', (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  event.stopPropagation();
  event.dataTransfer.dropEffect = 'copy';
  aim(true);
});
side.addEventListener('dragleave', (event) => { if (!side.contains(event.relatedTarget)) aim(false); });
side.addEventListener('drop', (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  event.stopPropagation();
  aim(false);
  importing([...event.dataTransfer.files]);
});
