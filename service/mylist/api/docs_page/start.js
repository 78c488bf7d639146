// Swagger UI takes JSON Lines for JSON, and would show an example of them as one quoted string.
const jsonLines = /ndjson|json-?l/
const linesAsTheyAre = {
  afterLoad() {
    const samples = this.fn.jsonSchema202012
    const ofJson = samples.getJsonSampleSchema
    samples.getJsonSampleSchema = (schema, config, contentType, example) =>
      typeof example === "string" && jsonLines.test(contentType)
        ? example
        : ofJson(schema, config, contentType, example)
  },
}

// HEAD stands beside every GET, takes the same and answers without a body.
const withoutHead = {
  statePlugins: {
    spec: {
      wrapSelectors: {
        taggedOperations: (original) => (state, ...rest) =>
          original(state, ...rest).map((tag) =>
            tag.update("operations", (operations) => operations.filter((each) => each.get("method") !== "head")),
          ),
      },
    },
  },
}

// Relative to this file, which is the same whether the page's address ends in a slash or not.
const url = new URL("../openapi.json", document.currentScript.src).href
SwaggerUIBundle({ url, dom_id: "#documentation", plugins: [linesAsTheyAre, withoutHead] })
