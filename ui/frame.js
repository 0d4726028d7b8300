// Runs in every frame, first: tells the page how high the content is, and keeps links from leading the frame away.
const root = document.documentElement;
const body = document.body;
// The page says behind the # whether it is dark, now and when that changes.
const dress = () => root.classList.toggle('dark', location.hash === '#dark');
addEventListener('hashchange', dress);
dress();
const tell = () => {
  const scrollBar = innerHeight - root.clientHeight;
  const height = Math.ceil(Math.max(root.getBoundingClientRect().height, body.scrollHeight)) + scrollBar;
  parent.postMessage({ gloveboxHeight: height }, '*');
};
const watch = new ResizeObserver(tell);
watch.observe(root);
watch.observe(body);
addEventListener('click', (event) => {
  const link = event.target instanceof Element && event.target.closest('a, area');
  if (link && !(link.getAttribute('href') ?? '').startsWith('#')) event.preventDefault();
}, true);
const note = (text) => {
  const line = document.createElement('p');
  line.className = 'gb-note';
  line.textContent = text;
  body.append(line);
};
