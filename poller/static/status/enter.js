// The token goes into a header: an address would be in logs and histories, and a form post would
// need the application's own token against forgery.
const form = document.getElementById("form");
const said = document.getElementById("said");
const button = form.querySelector("button");

// 429 is a wrong one, too, after many from this address, whoever sent them: a right one is taken.
const refused = (status) => ([401, 429].includes(status) ? "This is another token." : `The server answers ${status}.`);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  said.textContent = "";
  try {
    const token = form.elements.token.value.trim();
    // A header takes no other characters, and no token that a server takes has them.
    if (!/^[\x20-\x7e]+$/.test(token)) throw new Error("This is another token.");
    const answer = await fetch("status/enter", { headers: { Authorization: `Bearer ${token}` } });
    if (answer.ok) return location.reload();
    said.textContent = refused(answer.status);
  } catch (error) {
    said.textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
  }
  button.disabled = false;
  form.elements.token.select();
});
