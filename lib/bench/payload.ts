/** The requests that the measurements seal and open: the same bytes in every run, so that figures can be compared. */

export const contents = ["ascii", "latin1", "cjk", "tools"] as const;
/**
 * What a request's text consists of:
 * - `ascii`: a clinical letter, with the quotes and line ends that JSON must escape.
 * - `latin1`: German with umlauts: one byte per character in V8, up to two in UTF-8.
 * - `cjk`: Japanese, Chinese and emoji: two bytes per code unit in V8, three or four per character in UTF-8.
 * - `tools`: a conversation of 200 messages with tool calls, whose results are JSON within JSON strings (40
 *   messages under 32 KiB, 4 under 8 KiB).
 */
export type Content = (typeof contents)[number];

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly [parameter: string]: unknown;
}

const paragraphs: Readonly<Record<Content, string>> = {
  ascii:
    'The patient, aged 54, reported "mild" pain since Tuesday.\nNo fever; blood pressure 128/84 mmHg, pulse 72, SpO2 ' +
    "97 %.\n" +
    "Plan: review in 2 weeks, continue ramipril 5 mg (1-0-0), see C:\\letters\\2026\\0457.txt.\n\n",
  latin1:
    'Die Patientin, 54 Jahre, berichtet über "leichte" Schmerzen seit Dienstag; kein Fieber, Temperatur 36,8 °C.\n' +
    "Überweisung an die Ärztin für Röntgendiagnostik; größte Läsion 3 µm² (± 1), Ödeme rückläufig.\n",
  cjk: "患者は54歳、火曜日から「軽い」痛みを訴える。発熱なし、血圧128/84。\n两周后复查，继续服药。检查结果正常👍🏽，请注意休息🛌。\n",
  tools: '{"analyte":"potassium","value":4.2,"unit":"mmol/L","flag":null,"note":"fasting, \\"repeat\\" in 7 d"},\n',
};

/** Bytes of `value` as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value), "utf8");
}

/** A request whose JSON is exactly `bytes` long in UTF-8. The smallest possible is under 1 KiB for every content. */
export function chatRequest(content: Content, bytes: number): ChatRequest {
  return content === "tools" ? toolConversation(bytes) : singlePrompt(content, bytes);
}

function singlePrompt(content: Content, bytes: number): ChatRequest {
  const make = (prompt: string): ChatRequest => ({
    model: "Qwen/Qwen3-0.6B",
    temperature: 0.2,
    messages: [
      { role: "system", content: "Summarise the letter for the general practitioner." },
      { role: "user", content: prompt },
    ],
  });
  return make(text(content, room(make(""), bytes)));
}

function toolConversation(bytes: number): ChatRequest {
  const count = bytes < 8 * 1024 ? 4 : bytes < 32 * 1024 ? 40 : 200;
  const results = Math.floor((count - 1) / 3);
  const make = (contentOf: (index: number) => string): ChatRequest => {
    const messages: Record<string, unknown>[] = [{ role: "system", content: "Use the tools." }];
    for (let index = 0; messages.length < count; index++) {
      const id = `call_${String(index).padStart(4, "0")}`;
      messages.push(
        { role: "user", content: `And the laboratory values of day ${index}?` },
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id, type: "function", function: { name: "lab", arguments: JSON.stringify({ day: index }) } }],
        },
        { role: "tool", tool_call_id: id, content: contentOf(index) },
      );
    }
    return { model: "Qwen/Qwen3-0.6B", messages: messages.slice(0, count), tools: [labTool], tool_choice: "auto" };
  };
  const space = room(
    make(() => ""),
    bytes,
  );
  const share = Math.floor(space / results);
  // The last result takes what the division leaves over.
  return make((index) => text("tools", index < results - 1 ? share : space - share * (results - 1)));
}

const labTool = {
  type: "function",
  function: {
    name: "lab",
    description: "Laboratory values of a day",
    parameters: { type: "object", properties: { day: { type: "integer" } }, required: ["day"] },
  },
};

function room(empty: ChatRequest, bytes: number): number {
  const space = bytes - jsonBytes(empty);
  if (space < 0) throw new RangeError(`A request of this kind has ${jsonBytes(empty)} bytes at least.`);
  return space;
}

/** A string that takes exactly `bytes` inside a JSON string: whole paragraphs, then full stops. */
function text(content: Content, bytes: number): string {
  const paragraph = paragraphs[content];
  const size = jsonBytes(paragraph) - 2;
  const whole = Math.floor(bytes / size);
  return paragraph.repeat(whole) + ".".repeat(bytes - whole * size);
}
