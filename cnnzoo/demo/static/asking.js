// Questions to the server. Every answer is JSON; an expected mistake is a sentence in `error`.

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    return {error: "The server does not answer. Is “cnnzoo demo” still running?"};
  }
  try {
    return await response.json();
  } catch {
    return {error: `The server could not answer (${response.status}). Its window says why.`};
  }
}

// One question at a time; while it is under way only the newest of the next is kept. So the page
// follows the pen as fast as the server can, and never falls behind.
export function newestOnly(work) {
  let next = null;
  let busy = false;
  return async function submit(job) {
    next = {job};
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const {job: newest} = next;
        next = null;
        await work(newest);
      }
    } finally {
      busy = false;
    }
  };
}
