// What the browser keeps of a page. Nothing fails where it keeps nothing, or holds nonsense.

const PREFIX = "matinee.";
export const DEVICE = "localStorage"; // until it is forgotten
export const WINDOW = "sessionStorage"; // until the window is closed

/** What was kept under a name, which may be anything; null if nothing was. */
export function kept(name, where = DEVICE) {
  try {
    return JSON.parse(window[where].getItem(PREFIX + name));
  } catch {
    return null;
  }
}

/** Keeps a value, or with null nothing; without a store it lasts as long as the page. */
export function keep(name, value, where = DEVICE) {
  try {
    if (value === null) window[where].removeItem(PREFIX + name);
    else window[where].setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // no store, or a full one
  }
}

export function keepNothing() {
  for (const where of [DEVICE, WINDOW]) {
    try {
      for (const name of Object.keys(window[where]))
        if (name.startsWith(PREFIX)) window[where].removeItem(name);
    } catch {
      // no store, so nothing in it
    }
  }
}
