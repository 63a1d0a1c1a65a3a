// Keeps a part of this page current: <div id="…" data-refresh="seconds"> is fetched again while the page is looked at.
for (const part of document.querySelectorAll("[data-refresh]")) {
  setInterval(() => document.hidden || refresh(part), 1000 * part.dataset.refresh);
}

async function refresh(part) {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
    // Only what differs, so that focus and selection stay where they are, and a button that is being pressed.
    if (!fresh) return;
    if (said(fresh) !== said(part)) part.replaceChildren(...fresh.childNodes);
    else tokens(part).forEach((token, nth) => (token.value = tokens(fresh)[nth].value)); // a login has changed it
  } catch {
    // The server is away: the next look finds it.
  }
}

function tokens(part) {
  return part.querySelectorAll("[name=csrfmiddlewaretoken]");
}

// Django writes the same token differently in each answer.
function said(part) {
  return part.innerHTML.replace(/(name="csrfmiddlewaretoken" value=")[^"]*/g, "$1");
}
