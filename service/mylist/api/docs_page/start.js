// Swagger UI takes JSON Lines for JSON, and would show an example of them as one quoted string.
const linesAsTheyAre = {
  afterLoad() {
    const samples = this.fn.jsonSchema202012
    const ofJson = samples.getJsonSampleSchema
    samples.getJsonSampleSchema = (schema, config, contentType, example) =>
      contentType === "application/x-ndjson" && typeof example === "string"
        ? example
        : ofJson(schema, config, contentType, example)
  },
}

// Relative to this file, which is the same whether the page's address ends in a slash or not.
const url = new URL("../openapi.json", document.currentScript.src).href
SwaggerUIBundle({ url, dom_id: "#documentation", plugins: [linesAsTheyAre] })
