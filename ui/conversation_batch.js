// The cells of an imported notebook, one after the other; each result stands where its cell is. Part of conversation.js.
let batch = null;

async function runAll(cells) {
  if (batch) return;
  element.querySelector('.gb-batch')?.remove();
  const mine = (batch = { session: watched, stopped: false, cell: '', was: '' });
  const bar = made('div', '', 'gb-batch', element);
  const text = made('span', '', '', bar);
  text.setAttribute('role', 'status');
  const stop = made('button', words.stop, 'gb-button gb-danger', bar);
  const post = (path) => fetch(new URL(path, document.baseURI), { method: 'POST' });
  stop.addEventListener('click', () => {
    mine.stopped = true;
    stop.disabled = true;
    post(`api/sessions/${encodeURIComponent(mine.session)}/stop`).catch(() => {});
  });
  const say = (told, at, error = '') => {
    text.textContent = told.replace('{at}', at + 1).replace('{of}', cells.length).replace('{error}', error);
  };
  for (const [at, cell] of cells.entries()) {
    say(words.runningAll, at);
    const ended = await runOne(post, mine, cell);
    if (mine.stopped || watched !== mine.session) say(words.stoppedAt, at);
    else if (ended.status !== 'ok') say(words.failedAt, at, ended.error);
    else if (at === cells.length - 1) say(words.ranAll, at);
    else continue;
    break;
  }
  batch = null;
  stop.replaceWith(made('button', words.close, 'gb-button'));
  bar.lastChild.addEventListener('click', () => bar.remove());
}

// That it runs only this page knows: no turn does. The mark is set anew whenever the message is drawn.
function mark() {
  const card = batch?.cell ? cardOf(batch.cell) : null;
  if (!card || card.classList.contains('gb-is-running')) return;
  batch.was = [...card.classList].find((name) => name.startsWith('gb-is-'));
  card.classList.replace(batch.was, 'gb-is-running');
}
const cardOf = (cell) => log.querySelector(`[data-cell="${CSS.escape(cell)}"]`);

async function runOne(post, mine, cell) {
  mine.cell = cell;
  mark();
  cardOf(cell)?.scrollIntoView({ block: 'nearest' });
  atEnd = false;
  try {
    const answer = await post(`rerun/${encodeURIComponent(mine.session)}/${encodeURIComponent(cell)}`);
    const told = await answer.json();
    return answer.ok ? told : { status: 'refused', error: told.detail };
  } catch {
    return { status: 'lost', error: words.offline };
  } finally {
    // What the cell came to is told by the door; where that is what it was, nothing is.
    mine.cell = '';
    cardOf(cell)?.classList.replace('gb-is-running', mine.was);
  }
}
