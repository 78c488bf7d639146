// Relative to this file, which is the same whether the page's address ends in a slash or not.
const url = new URL("../openapi.json", document.currentScript.src).href;
SwaggerUIBundle({ url, dom_id: "#documentation" });
