// Light and dark: what the system prefers, unless chosen here.
const KEY = 'exai-theme';
const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };
const system = matchMedia('(prefers-color-scheme: dark)');

function chosen() {
  try {
    return localStorage.getItem(KEY) in NEXT ? localStorage.getItem(KEY) : 'auto';
  } catch {
    return 'auto'; // storage is switched off
  }
}

export function applyTheme() {
  const mode = chosen();
  const dark = mode === 'dark' || (mode === 'auto' && system.matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  return mode;
}

/** Let a button go through auto, light and dark; `changed` is called after each change of colours. */
export function themeButton(button, changed) {
  const show = () => {
    const mode = applyTheme();
    button.textContent = { auto: 'Auto', light: 'Light', dark: 'Dark' }[mode];
    button.setAttribute('aria-label', `Colours: ${mode}. Change to ${NEXT[mode]}.`);
    changed();
  };
  button.addEventListener('click', () => {
    try {
      localStorage.setItem(KEY, NEXT[chosen()]);
    } catch {
      return;
    }
    show();
  });
  system.addEventListener('change', show);
  show();
}
