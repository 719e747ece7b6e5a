"""The official Python SDK against HAIA: models, chats, tools, usage, errors, disconnects, pictures."""

import asyncio
import json

import openai
from check import FORMATS, HELLO, KEY, READ_KEY, TOOL, URL, ask, check, eventually, left, main, raises, sim

client = openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
FINAL = "Let me look. \n\nFinal answer after 3 results in 2 rounds."


def chat(model, **more):
    return client.chat.completions.create(model=model, messages=more.pop("messages", ask()), **more)


@check
def models_are_listed():
    ids = [model.id for model in client.models.list()]
    for expected in ["haia", "haia/default", "openai/text", "anthropic/text", "ollama/text", "builtin/offline"]:
        assert expected in ids, f"no {expected} in {ids}"
    assert client.models.retrieve("haia").id == "haia"
    assert client.models.retrieve("openai/text").id == "openai/text"


@check
def whole():
    for kind in FORMATS:
        answer = chat(f"{kind}/text")
        assert answer.choices[0].message.content == HELLO, answer
        assert answer.choices[0].finish_reason == "stop"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 7, 18)
        assert answer.object == "chat.completion" and answer.id and answer.created > 1_600_000_000
        assert answer._request_id


@check
def streamed_with_the_commonest_code():
    for kind in FORMATS:
        words = []
        for chunk in chat(f"{kind}/text", stream=True):
            # No guard, as most programs are written.
            words.append(chunk.choices[0].delta.content or "")
        assert "".join(words) == HELLO


@check
def streamed_with_the_helper():
    for model in ["openai/text", "anthropic/text", "ollama/text", "haia"]:
        with client.chat.completions.stream(model=model, messages=ask()) as stream:
            for _ in stream:
                pass
            final = stream.get_final_completion()
        assert final.choices[0].message.content == (FINAL if model == "haia" else HELLO)
        assert final.choices[0].finish_reason == "stop"


@check
def usage_only_when_asked_for():
    for model, expected in [("openai/text", (11, 7)), ("anthropic/text", (11, 7)), ("ollama/text", (11, 7)), ("haia", (33, 21))]:
        chunks = list(chat(model, stream=True, stream_options={"include_usage": True}))
        told = [chunk.usage for chunk in chunks if chunk.usage]
        assert len(told) == 1 and chunks[-1].choices == [], chunks[-1]
        assert (told[0].prompt_tokens, told[0].completion_tokens) == expected, told
        assert all(chunk.usage is None for chunk in chat(model, stream=True))


@check
def the_agent():
    for kind in FORMATS:
        answer = chat(f"haia/{kind}-agent")
        assert answer.choices[0].message.content == FINAL and not answer.choices[0].message.tool_calls
        assert answer.model == f"haia/{kind}-agent"
        chunks = list(chat(f"haia/{kind}-agent", stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == FINAL
        assert not any(chunk.choices[0].delta.tool_calls for chunk in chunks)
        assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1


@check
def thinking_is_shown_apart():
    for kind in FORMATS:
        deltas = [chunk.choices[0].delta for chunk in chat(f"{kind}/thinking", stream=True)]
        thought = "".join((delta.model_extra or {}).get("reasoning_content") or "" for delta in deltas)
        assert thought == "Let me think.", thought
        assert "".join(delta.content or "" for delta in deltas) == "I have thought."


def finish_with_results(model, messages, message):
    """Returns to the model with a result for each of its calls."""
    messages = messages + [message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})]
    for call in message.tool_calls:
        city = json.loads(call.function.arguments)["city"]
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"rain in {city}"})
    return chat(model, messages=messages, tools=[TOOL]).choices[0].message.content


@check
def tools_of_the_caller():
    for kind in FORMATS:
        for model in [f"{kind}/caller", f"haia/{kind}-caller"]:
            answer = chat(model, tools=[TOOL])
            message = answer.choices[0].message
            assert answer.choices[0].finish_reason == "tool_calls"
            assert [call.function.name for call in message.tool_calls] == ["look_outside"]
            text = finish_with_results(model, ask(), message)
            assert text == "Final answer after 1 results in 1 rounds.", text


@check
def parallel_calls_streamed():
    for kind in FORMATS:
        with client.chat.completions.stream(model=f"{kind}/parallel", messages=ask(), tools=[TOOL]) as stream:
            for _ in stream:
                pass
            message = stream.get_final_completion().choices[0].message
        assert [json.loads(call.function.arguments)["city"] for call in message.tool_calls] == ["Zürich", "Genève"]
        assert len({call.id for call in message.tool_calls}) == 2
        text = finish_with_results(f"{kind}/parallel", ask(), message)
        assert text == "Final answer after 2 results in 1 rounds.", text


@check
def mixed_calls():
    for kind in FORMATS:
        model = f"haia/{kind}-mixed"
        message = chat(model, tools=[TOOL]).choices[0].message
        assert [call.function.name for call in message.tool_calls] == ["look_outside"], "HAIA's own calls are its own"
        text = finish_with_results(model, ask(), message)
        assert text == "Final answer after 2 results in 1 rounds.", text


@check
def a_picture_of_eight_megabytes():
    data = "A" * (8 * 1024 * 1024)
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
    ]
    for kind in FORMATS:
        echo = json.loads(chat(f"{kind}/echo", messages=[{"role": "user", "content": parts}]).choices[0].message.content)
        assert echo["image_bytes"] == len(data), echo


@check
def errors_of_the_request():
    error = raises(openai.BadRequestError, lambda: chat("haia", temperature="hot"))
    assert (error.param, error.type) == ("temperature", "invalid_request_error"), error.body
    error = raises(openai.BadRequestError, lambda: chat("openai/text", messages="hi"))
    assert error.param == "messages"
    error = raises(openai.NotFoundError, lambda: chat("nobody/nothing"))
    assert error.code == "model_not_found"
    error = raises(openai.NotFoundError, lambda: client.post("/no/such/path", body={}, cast_to=object))
    assert error.code == "not_found"
    error = raises(openai.APIStatusError, lambda: chat("openai/text", messages=ask("x" * (33 * 1024 * 1024))))
    assert error.status_code == 413


@check
def errors_of_the_key():
    nobody = openai.OpenAI(base_url=f"{URL}/v1", api_key="wrong", max_retries=0)
    error = raises(openai.AuthenticationError, lambda: nobody.models.list())
    assert error.code == "invalid_api_key"
    reader = openai.OpenAI(base_url=f"{URL}/v1", api_key=READ_KEY, max_retries=0)
    assert reader.models.list()
    error = raises(
        openai.PermissionDeniedError, lambda: reader.chat.completions.create(model="haia", messages=ask())
    )
    assert error.type == "permission_error"


@check
def errors_of_providers():
    for kind in FORMATS:
        for stream in [False, True]:
            error = raises(openai.BadRequestError, lambda: chat(f"{kind}/context-length", stream=stream))
            assert error.code == "context_length_exceeded", error.body
            error = raises(openai.RateLimitError, lambda: chat(f"{kind}/status-429", stream=stream))
            assert error.response.headers["retry-after"] == "7"
            for model, status, code in [
                (f"{kind}/status-401", 502, "provider_authentication"),
                (f"{kind}/status-500", 503, "provider_unavailable"),
                (f"{kind}/status-529", 503, "provider_unavailable"),
                ("down/text", 503, "provider_unavailable"),
                ("slow/hang", 504, "provider_timeout"),
            ]:
                error = raises(openai.InternalServerError, lambda: chat(model, stream=stream))
                assert (error.status_code, error.code) == (status, code), (model, error.status_code, error.body)
                assert error.type == "provider_error"
                assert "sk-leaked" not in error.response.text
                assert error.response.headers["x-request-id"]


@check
def a_cut_stream_raises():
    for kind in FORMATS:
        for model in [f"{kind}/cut-mid", f"{kind}/error-mid"]:
            words = []

            def read():
                for chunk in chat(model, stream=True):
                    assert chunk.choices[0].finish_reason is None
                    words.append(chunk.choices[0].delta.content or "")

            raises(openai.APIError, read)
            assert "".join(words).startswith("Hello "), words


@check
def a_client_that_leaves_frees_the_provider():
    for kind in FORMATS:
        before = left("hang-mid")
        stream = chat(f"{kind}/hang-mid", stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()
        eventually("the provider to be left in mid-stream", lambda: left("hang-mid") == before + 1)
        for stream in [False, True]:
            before = left("hang")
            hasty = client.with_options(timeout=0.5)
            raises(
                openai.APITimeoutError,
                lambda: hasty.chat.completions.create(model=f"{kind}/hang", messages=ask(), stream=stream),
            )
            eventually("the provider to be left before the first token", lambda: left("hang") == before + 1)


@check
def many_at_once():
    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0) as several:

            async def one(model):
                stream = await several.chat.completions.create(model=model, messages=ask(), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            models = [f"{kind}/long" for kind in FORMATS] * 5 + ["haia"] * 15
            return await asyncio.gather(*(one(model) for model in models))

    texts = asyncio.run(all_of_them())
    assert all(text == "".join(f"word-{at} " for at in range(200)) for text in texts[:15])
    assert all(text == FINAL for text in texts[15:])


import inputs  # noqa: E402, F401 - registers its checks before the last one


@check
def the_provider_had_no_complaint():
    assert sim("violations") == [], sim("violations")


main()
