// Conversations of three turns by the JavaScript package `openai`; prints each turn's text.
import OpenAI, { AzureOpenAI } from "openai";

const { INFERENCE_URL: url, KEY: apiKey } = process.env;
const forms = [
  new OpenAI({
    baseURL: `${url}/openai/v1/`,
    apiKey,
    defaultHeaders: { "api-key": apiKey },
    maxRetries: 0,
  }),
  new AzureOpenAI({ endpoint: url, apiKey, apiVersion: "2025-04-01-preview", maxRetries: 0 }),
];
for (const client of forms) {
  for (let number = 0; number < 5; number++) {
    let response = await client.responses.create({ model: "chat", input: "Question 1" });
    console.log(response.output_text);
    const stream = await client.responses.create({
      model: "chat",
      input: "Question 2",
      previous_response_id: response.id,
      stream: true,
    });
    for await (const event of stream) {
      if (event.type === "response.completed") response = event.response;
    }
    console.log(response.output.at(-1).content[0].text);
    const first = response;
    response = await client.responses.create({
      model: "chat",
      input: "Question 3",
      previous_response_id: response.id,
    });
    console.log(response.output_text);
    const found = await client.responses.retrieve(first.id);
    if (found.id !== first.id) throw new Error(`${found.id} is not ${first.id}`);
    await client.responses.delete(first.id);
  }
}
