// Runs a state machine over the answers of its tasks, and prints the states that it entered and how it ended. Standard
// input: {"machine": ..., "executions": [[{"output": ...} or {"error": ..., "cause": ...}, ...], ...]}; the last answer
// of an execution stands for all that follow.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { StateMachine } = createRequire(`${process.argv[2]}/`)("aws-local-stepfunctions");
const { machine, executions } = JSON.parse(readFileSync(0, "utf-8"));

async function run(answers) {
  const entered = [];
  let calls = 0;
  function load() {
    const answer = answers[Math.min(calls++, answers.length - 1)];
    if ("output" in answer) return answer.output;
    throw Object.assign(new Error(answer.cause), { name: answer.error });
  }
  const overrides = { taskResourceLocalHandlers: { Load: load }, waitTimeOverrides: { Pause: 1 } };
  const execution = new StateMachine(machine).run({}, { overrides });
  const ended = execution.result.catch(() => null);
  let last = null;
  for await (const event of execution.eventLogs) {
    if (event.type.endsWith("StateEntered")) entered.push(event.state.name);
    last = event;
  }
  await ended;
  return { entered, calls, status: last.type, error: last.Error, cause: last.Cause };
}

console.log(JSON.stringify(await Promise.all(executions.map(run))));
