"""The official Python SDKs against HAIA's other endpoints: OpenAI's responses, embeddings and audio, and Anthropic's messages."""

import json

import anthropic
import openai
from check import FORMATS, HELLO, KEY, READ_KEY, URL, ask, check, eventually, left, raises

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
claude = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
FINAL = "Let me look. \n\nFinal answer after 3 results in 2 rounds."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "name": "look_outside", "parameters": SCHEMA, "strict": False}
TOOL = {"name": "look_outside", "description": "The weather of a city.", "input_schema": SCHEMA}


def say(model, **more):
    return claude.messages.create(model=model, max_tokens=500, messages=more.pop("messages", ask()), **more)


@check
def responses_whole():
    for kind in FORMATS:
        answer = client.responses.create(model=f"{kind}/text", input="What is going on?", instructions="Be brief.")
        assert answer.output_text == HELLO and answer.status == "completed", answer
        assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 7, 18)
        assert answer.instructions == "Be brief." and answer.id.startswith("resp_") and answer.created_at > 1_600_000_000
        thought = client.responses.create(model=f"{kind}/thinking", input=ask(), reasoning={"effort": "low"})
        assert thought.output[0].summary[0].text == "Let me think." and thought.output_text == "I have thought."
    assert client.responses.create(model="haia", input="Hello").output_text == FINAL
    cut = client.responses.create(model="openai/length", input="Hello")
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@check
def responses_streamed():
    for model, text in [(f"{kind}/text", HELLO) for kind in FORMATS] + [("haia", FINAL)]:
        words, numbers = [], []
        with client.responses.stream(model=model, input="What is going on?") as stream:
            for event in stream:
                numbers.append(event.sequence_number)
                if event.type == "response.output_text.delta":
                    words.append(event.delta)
            final = stream.get_final_response()
        assert "".join(words) == text and final.output_text == text, words
        assert numbers == list(range(len(numbers)))
        kinds = [event.type for event in client.responses.create(model=model, input="Hello", stream=True)]
        assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds


@check
def responses_with_tools():
    for model in [f"{kind}/parallel" for kind in FORMATS] + ["haia/openai-caller"]:
        given = ask()
        with client.responses.stream(model=model, input=given, tools=[FUNCTION]) as stream:
            for _ in stream:
                pass
            answer = stream.get_final_response()
        calls = [item for item in answer.output if item.type == "function_call"]
        assert json.loads(calls[0].arguments)["city"] == "Zürich", calls
        given = given + [item.model_dump(exclude_none=True) for item in answer.output]
        given += [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
        answer = client.responses.create(model=model, input=given, tools=[FUNCTION])
        assert answer.output_text == f"Final answer after {len(calls)} results in 1 rounds.", answer


@check
def responses_that_fail():
    error = raises(openai.BadRequestError, lambda: client.responses.create(model="haia", input="x", store=True))
    assert error.param == "store"
    call = lambda: client.responses.create(model="haia", input="x", previous_response_id="resp_1")  # noqa: E731
    assert raises(openai.BadRequestError, call).param == "previous_response_id"
    call = lambda: client.responses.create(model="openai/status-429", input="x")  # noqa: E731
    assert raises(openai.RateLimitError, call).response.headers["retry-after"] == "7"
    for kind in FORMATS:
        stream = client.responses.create(model=f"{kind}/cut-mid", input="x", stream=True)
        assert raises(openai.APIError, lambda: list(stream)).code == "provider_unavailable"


@check
def embeddings():
    for kind in ["openai", "ollama"]:
        # The SDK asks for base64 by itself, and reads it.
        answer = client.embeddings.create(model=f"{kind}/embed", input=["one", "two"])
        assert [one.embedding for one in answer.data] == [[0.25, -1.5, 3.0]] * 2, answer
        plain = client.embeddings.create(model=f"{kind}/embed", input="one", encoding_format="float")
        assert plain.data[0].embedding == [0.25, -1.5, 3.0] and plain.usage.prompt_tokens == 5
    error = raises(openai.BadRequestError, lambda: client.embeddings.create(model="anthropic/text", input="x"))
    assert error.code == "unsupported_endpoint" and "anthropic" in error.message


@check
def sound():
    with client.audio.speech.with_streaming_response.create(model="openai/tts", voice="alloy", input="hi") as spoken:
        sound = b"".join(spoken.iter_bytes())
    assert sound.startswith(b"ID3") and sound.endswith(b"three"), sound
    heard = client.audio.transcriptions.create(model="openai/whisper-1", file=("a.mp3", sound))
    assert heard.text == "whisper-1 heard 3 frames", heard
    text = client.audio.transcriptions.create(model="openai/whisper-1", file=("a.mp3", sound), response_format="text")
    assert "whisper-1 heard 3 frames" in text, text


@check
def messages_whole():
    for kind in FORMATS:
        answer = say(f"{kind}/text", system="Be brief.", stop_sequences=["END"])
        assert answer.content[0].text == HELLO and answer.stop_reason == "end_turn", answer
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    assert say("haia").content[0].text == FINAL
    assert say("ollama/length").stop_reason == "max_tokens"
    assert claude.messages.count_tokens(model="anthropic/text", messages=ask()).input_tokens == 42


@check
def messages_streamed_with_thinking():
    for kind in FORMATS:
        thinking = {"type": "enabled", "budget_tokens": 2000}
        words = []
        with claude.messages.stream(
            model=f"{kind}/thinking", max_tokens=4000, messages=ask(), thinking=thinking
        ) as stream:
            for event in stream:
                if event.type == "thinking":
                    words.append(event.thinking)
            final = stream.get_final_message()
        assert "".join(words) == "Let me think."
        assert final.content[0].thinking == "Let me think." and final.content[1].text == "I have thought.", final
        assert final.content[0].signature == ("sig-0" if kind == "anthropic" else "")
        assert final.usage.output_tokens == 7
        raw = [event.type for event in say(f"{kind}/text", stream=True)]
        assert raw[0] == "message_start" and raw[-1] == "message_stop", raw


@check
def messages_with_tools():
    for model in [f"{kind}/parallel" for kind in FORMATS] + ["haia/anthropic-caller"]:
        with claude.messages.stream(model=model, max_tokens=500, messages=ask(), tools=[TOOL]) as stream:
            answer = stream.get_final_message()
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == "tool_use" and calls[0].input == {"city": "Zürich"}, answer
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
        said = [block.model_dump(exclude_none=True) for block in answer.content]
        messages = ask() + [{"role": "assistant", "content": said}, {"role": "user", "content": results}]
        answer = say(model, messages=messages, tools=[TOOL])
        assert answer.content[0].text == f"Final answer after {len(calls)} results in 1 rounds.", answer


@check
def messages_that_fail():
    error = raises(anthropic.BadRequestError, lambda: say("haia", extra_body={"temperature": "hot"}))
    assert "temperature" in error.message and error.body["type"] == "error", error.body
    raises(anthropic.NotFoundError, lambda: say("nobody/nothing"))
    raises(anthropic.RateLimitError, lambda: say("openai/status-429"))
    stranger = anthropic.Anthropic(base_url=URL, api_key="haia-key-of-nobody", max_retries=0)
    looker = anthropic.Anthropic(base_url=URL, api_key=READ_KEY, max_retries=0)
    bearer = anthropic.Anthropic(base_url=URL, auth_token=KEY, max_retries=0)
    create = lambda one: one.messages.create(model="openai/text", max_tokens=5, messages=ask())  # noqa: E731
    raises(anthropic.AuthenticationError, lambda: create(stranger))
    raises(anthropic.PermissionDeniedError, lambda: create(looker))
    assert create(bearer).content[0].text == HELLO
    for kind in FORMATS:
        raises(anthropic.APIStatusError, lambda: list(say(f"{kind}/cut-mid", stream=True)))


@check
def leaving_ends_messages_and_responses():
    for kind in FORMATS:
        for begin in [
            lambda: say(f"{kind}/hang-mid", stream=True),
            lambda: client.responses.create(model=f"{kind}/hang-mid", input="x", stream=True),
        ]:
            before = left("hang-mid")
            begin().close()
            eventually("the provider to be left", lambda: left("hang-mid") == before + 1)
