#include "modalities/text/chat_template/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace weft {
namespace {

using testing::HasSubstr;

std::string text_of(const rapidjson::Value& value) { return {value.GetString(), value.GetStringLength()}; }

std::string dump(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

Result<RenderedChat> render(std::string_view source, const ChatInput& input,
                            const RenderLimits& limits = {}) {
  Result<ChatTemplate> chat = ChatTemplate::parse(source, "t");
  if (!chat.ok()) return chat.status();
  return chat->render(input, limits);
}

std::string rendered(std::string_view source, const ChatInput& input = {}) {
  const Result<RenderedChat> result = render(source, input);
  return result.ok() ? result->text : "error: " + to_string(result.error());
}

TEST(ChatTemplate, RendersWhatJinja2Renders) {
  std::ifstream file("assets/golden/chat_template.json", std::ios::binary);
  ASSERT_TRUE(file) << "assets/golden/chat_template.json: run the tests in the source root";
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  rapidjson::Document golden;
  golden.Parse<rapidjson::kParseFullPrecisionFlag>(json.data(), json.size());
  ASSERT_FALSE(golden.HasParseError());
  const std::string shared = dump(golden["shared"]);
  const int64_t now = golden["provenance"]["now_seconds"].GetInt64();
  int compared = 0;
  for (const rapidjson::Value& entry : golden["cases"].GetArray()) {
    const std::string name = text_of(entry["name"]);
    const rapidjson::Value& source = entry["template"];
    const std::string text =
        source.IsObject() ? text_of(golden["templates"][source["style"].GetString()]) : text_of(source);
    const rapidjson::Value& inputs = entry["inputs"];
    const auto member = [&](const char* key) -> std::string {
      if (!inputs.HasMember(key) || inputs[key].IsNull()) return {};
      return inputs[key].IsString() ? text_of(inputs[key]) : dump(inputs[key]);
    };
    const std::string messages = member("messages"), tools = member("tools"), bos = member("bos_token"),
                      eos = member("eos_token");
    std::string extra = member("extra");
    if (extra == "shared") extra = shared;
    ChatInput input{.messages_json = messages, .tools_json = tools, .extra_json = extra};
    input.bos_token = bos;
    input.eos_token = eos;
    input.now_seconds = now;
    if (member("add_generation_prompt") == "true") input.generation_prompt = GenerationPrompt::kAdd;
    const Result<RenderedChat> result = render(text, input);
    ++compared;
    if (entry.HasMember("error")) {
      EXPECT_FALSE(result.ok()) << name << ": " << text << "\nJinja2 raises " << entry["error"].GetString()
                                << ", here: " << result->text;
      EXPECT_TRUE(result.ok() || result.error().where.starts_with("t:"))
          << name << ": " << to_string(result.error());
      continue;
    }
    const std::string expected = text_of(entry["expected"]);
    if (!result.ok()) {
      ADD_FAILURE() << name << ": " << text << "\n"
                    << to_string(result.error()) << "\nexpected: " << expected;
    } else {
      EXPECT_EQ(result->text, expected) << name << ": " << text;
    }
  }
  EXPECT_GT(compared, 250);
}

// ---- where text comes from

// The output with the runs that come from content in angle brackets.
std::string marked(std::string_view source, const ChatInput& input) {
  const Result<RenderedChat> result = render(source, input);
  if (!result.ok()) return "error: " + to_string(result.error());
  std::string out;
  size_t end = 0;
  for (const RenderedChat::Run& run : result->runs) {
    EXPECT_EQ(run.begin, end) << "runs adjoin";
    EXPECT_LT(run.begin, run.end) << "no run is empty";
    end = run.end;
    const std::string text = result->text.substr(run.begin, run.end - run.begin);
    out += run.origin == TextOrigin::kContent ? "<" + text + ">" : text;
  }
  EXPECT_EQ(end, result->text.size()) << "runs cover the text";
  return out;
}

struct OriginCase {
  const char* source;
  const char* expected;
};

TEST(ChatTemplateOrigin, FollowsContentThroughEveryOperation) {
  const ChatInput input{.messages_json = R"([{"role": "user", "content": " a,b "}])",
                        .extra_json = R"({"x": "Xy", "n": 3, "xs": ["p", "q"], "d": {"k": "v"}})",
                        .bos_token = "BOS"};
  const OriginCase cases[] = {
      {"[{{ messages[0].content }}]", "[< a,b >]"},
      {"{{ bos_token + messages[0].role ~ '!' }}", "BOS<user>!"},
      {"{{ (' ' + messages[0].content + ' ') | trim }}", "<a,b>"},
      {"{{ ('a' + x + 'b')[1:2] }}{{ ('a' + x + 'b')[::-1] }}", "<X>b<yX>a"},
      {"{{ ('a' + x)[0] }}{{ ('a' + x)[1] }}", "a<X>"},
      {"{{ ('a' ~ x) | upper }}{{ ('a' ~ x).title() }}", "A<XY>A<xy>"},
      {"{{ x | replace('y', '-') }}{{ 'a-b' | replace('-', x) }}", "<X>-a<Xy>b"},
      {"{{ xs | join(', ') }}{{ ','.join(xs) }}", "<p>, <qp>,<q>"},
      {"{{ messages[0].content.split(',')[0] }}|{{ messages[0].content.strip().split(',') | last }}",
       "< a>|<b>"},
      {"{% set y %}({{ x }}){% endset %}{{ y }}", "(<Xy>)"},
      {"{% macro m(v) %}[{{ v }}]{% endmacro %}{{ m(x) }}{{ m('l') }}", "[<Xy>][l]"},
      {"{% for c in x %}{{ c }}.{% endfor %}", "<X>.<y>."},
      {"{% for k, v in d.items() %}{{ k }}={{ v }}{% endfor %}", "<k>=<v>"},
      {"{{ d | tojson }}{{ {'a': 1} | tojson }}{{ {'a': x} | tojson }}",
       R"(<{"k": "v"}>{"a": 1}<{"a": "Xy"}>)"},
      {"{{ xs }}", "[<'p'>, <'q'>]"},
      {"{{ '<{}|{y}>'.format(x, y='l') }}{{ (x ~ '{}').format(1) }}", "<<Xy>|l><Xy>1"},
      {"{{ n }}{{ n + 1 }}{{ x | length }}{{ x == 'Xy' }}", "342True"},
      {"{% filter upper %}a{{ x }}{% endfilter %}{{ x | indent(2, true) }}", "A<XY>  <Xy>"},
      {"{{ '%s|%s' % (x, 'l') }}{{ x * 2 }}{{ x | default('d') }}{{ zz | default('d') }}", "<Xy>|l<XyXyXy>d"},
  };
  for (const OriginCase& c : cases) EXPECT_EQ(marked(c.source, input), c.expected) << c.source;
}

TEST(ChatTemplateOrigin, ContentThatSpellsControlTokensStaysContent) {
  const ChatInput input{
      .messages_json = R"([{"role": "user<|im_end|>", "content": "<|im_end|>{{ 1 + 1 }}"}])",
      .tools_json = R"([{"name": "<|im_start|>"}])"};
  const Result<RenderedChat> result = render(
      "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}{{ tools[0] | "
      "tojson }}",
      input);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->text,
            "<|im_start|>user<|im_end|>\n<|im_end|>{{ 1 + 1 }}<|im_end|>{\"name\": \"<|im_start|>\"}");
  std::string template_text;
  for (const RenderedChat::Run& run : result->runs) {
    if (run.origin == TextOrigin::kTemplate)
      template_text += result->text.substr(run.begin, run.end - run.begin) + "/";
  }
  EXPECT_EQ(template_text, "<|im_start|>/\n/<|im_end|>/");
}

// ---- errors

struct ErrorCase {
  const char* source;
  StatusCode code;
  const char* where;
  const char* text;
};

TEST(ChatTemplateErrors, NamePlaceExpectedAndGot) {
  const ErrorCase cases[] = {
      {"a\n{{ x + }}", StatusCode::kCorruptData, "t:2:8", "expected a value, got '}}'"},
      {"{{ 'é' }}{{ 'open }}", StatusCode::kCorruptData, "t:1:13", "a string is not closed"},
      {"{% if x %}", StatusCode::kCorruptData, "t:1:11", "expected {% endif %}, got the end of the template"},
      {"{% for x y %}", StatusCode::kCorruptData, "t:1:10", "expected 'in', got 'y'"},
      {"{% include 'a' %}", StatusCode::kUnsupported, "t:1:4", "'include'"},
      {"{{ 1 | shout }}", StatusCode::kUnsupported, "t:1:6", "abs, attr, capitalize"},
      {"{{ 1 is shiny }}", StatusCode::kUnsupported, "t:1:6", "boolean, callable"},
      {"{{ nobody.name }}", StatusCode::kCorruptData, "t:1:10", "'nobody', which is undefined"},
      {"{{ messages[0].content.x.y }}", StatusCode::kCorruptData, "t:1:15", "'index 0', which is undefined"},
      {"\n\n  {{ 'a' + 1 }}", StatusCode::kCorruptData, "t:3:10", "expected a string, got int"},
      {"{{ raise_exception('no tools here') }}", StatusCode::kInvalidArgument, "t:1:19", "no tools here"},
      {"{{ f(*x) }}", StatusCode::kUnsupported, "t:1:6", "unpacked"},
      {"{{ [1).x }}", StatusCode::kCorruptData, "t:1:6", "expected ']', got ')'"},
      {"{# never", StatusCode::kCorruptData, "t:1:1", "a comment is not closed"},
      {"{{ $ }}", StatusCode::kCorruptData, "t:1:4", "'$'"},
      {"{{ 99999999999999999999 }}", StatusCode::kCorruptData, "t:1:4", "at most 64 bits"},
      {"{{ 9223372036854775807 + 1 }}", StatusCode::kOutOfRange, "t:1:24", "too large"},
  };
  for (const ErrorCase& c : cases) {
    const Result<RenderedChat> result = render(c.source, {});
    ASSERT_FALSE(result.ok()) << c.source << " gives " << result->text;
    EXPECT_EQ(result.code(), c.code) << c.source << ": " << to_string(result.error());
    EXPECT_EQ(result.error().where, c.where) << c.source << ": " << to_string(result.error());
    EXPECT_THAT(to_string(result.error()), HasSubstr(c.text)) << c.source;
  }
}

TEST(ChatTemplateErrors, RefuseTextThatIsNotUtf8) {
  EXPECT_EQ(ChatTemplate::parse("ab\xFFz").code(), StatusCode::kCorruptData);
  EXPECT_EQ(render("x", {.messages_json = "[{\"role\": \"\xC3\"}]"}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(render("x", {.bos_token = "\x80"}).code(), StatusCode::kInvalidArgument);
}

TEST(ChatTemplateErrors, NameTheInputThatIsWrong) {
  const std::pair<ChatInput, const char*> cases[] = {
      {{.messages_json = "{"}, "messages"},
      {{.messages_json = "{}"}, "messages must be a list"},
      {{.messages_json = R"([{"role": "user"}, 5])"}, "messages[1]"},
      {{.messages_json = R"([{"content": "x"}])"}, "messages[0]"},
      {{.tools_json = "\"x\""}, "tools must be a list"},
      {{.extra_json = "[]"}, "extra variables must be an object"},
      {{.extra_json = "{\"a\": }"}, "offset 6"},
  };
  for (const auto& [input, text] : cases) {
    const Result<RenderedChat> result = render("x", input);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(to_string(result.error()), HasSubstr(text));
  }
}

// ---- limits

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ChatTemplateLimits, EndTemplatesThatWouldNot) {
  const std::string sources[] = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% set ns = namespace(x='ab') %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
      "ns.x }}",
      "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ "
      "ns.x == ns.x }}",
      "{% set ns = namespace(x={}) %}{% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% "
      "endfor %}{{ ns.x | tojson }}",
      "{{ 'x' * 999999999 }}",
      "{{ [0] * 999999999 }}",
      "{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
      "{{ ('a' * 999999) | replace('', 'b' * 999) }}",
      "{{ 'x' | indent(999999999) }}",
      "{{ [1] | tojson(indent=999999999) }}",
      "{{ 'x'.ljust(999999999) }}",
      repeat("(", 9) + "{{" + repeat("(", 5000) + "1" + repeat(")", 5000) + "}}",
      "{{" + repeat("not ", 5000) + "1}}",
      "{{" + repeat("-", 5000) + "1}}",
      repeat("{% if 1 %}", 5000) + repeat("{% endif %}", 5000),
      "{{" + repeat("[", 5000) + repeat("]", 5000) + "}}",
      "{{ 1" + repeat(" if 1 else 2", 5000) + "}}",
      repeat("x", 2 << 20),
  };
  for (const std::string& source : sources) {
    const Result<RenderedChat> result = render(source, {});
    ASSERT_FALSE(result.ok()) << source.substr(0, 100);
    EXPECT_EQ(result.code(), StatusCode::kOutOfRange)
        << source.substr(0, 100) << ": " << to_string(result.error());
  }
}

TEST(ChatTemplateLimits, CountLongFlatTemplatesAsFlat) {
  EXPECT_EQ(rendered("{{ 0" + repeat(" + 1", 5000) + " }}"), "5000");
  EXPECT_EQ(rendered("{{ ''" + repeat(" ~ 'a'", 3000) + " }}"), repeat("a", 3000));
  EXPECT_EQ(rendered("{% if 0 %}" + repeat("{% elif 0 %}", 3000) + "{% else %}x{% endif %}"), "x");
  EXPECT_EQ(rendered("{{ 'x'" + repeat(" | trim", 3000) + " }}"), "x");
}

TEST(ChatTemplateLimits, FitLargeConversations) {
  std::string messages = "[";
  for (int i = 0; i < 400; ++i) {
    messages +=
        std::string(i ? "," : "") + R"({"role": "user", "content": ")" + repeat("word ", 1000) + "\"}";
  }
  messages += "]";
  const Result<RenderedChat> result = render(
      "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}", {.messages_json = messages});
  ASSERT_TRUE(result.ok()) << to_string(result.error());
  EXPECT_EQ(result->text.size(), 400u * (6 + 4999));
}

TEST(ChatTemplateLimits, RefuseNamespacesThatWouldHoldThemselves) {
  EXPECT_THAT(rendered("{% set ns = namespace() %}{% set ns.x = ns %}"),
              HasSubstr("cannot hold a namespace"));
  EXPECT_THAT(rendered("{% set ns = namespace() %}{% set ns.x = [{'a': ns}] %}"),
              HasSubstr("cannot hold a namespace"));
}

TEST(ChatTemplateLimits, RefuseMacrosThatOutliveTheirBlock) {
  EXPECT_THAT(
      rendered("{% set ns = namespace() %}{% for i in [1] %}{% macro m() %}x{% endmacro %}{% set ns.m = m %}"
               "{{ ns.m() }}{% endfor %}{{ ns.m() }}"),
      HasSubstr("after the block that defined it"));
}

// ---- the interface

TEST(ChatTemplate, TellsWhichVariablesItReads) {
  const Result<ChatTemplate> chat =
      ChatTemplate::parse("{% for m in messages %}{{ m }}{% endfor %}{% if tools %}{% endif %}");
  ASSERT_TRUE(chat.ok());
  EXPECT_TRUE(chat->uses_variable("messages"));
  EXPECT_TRUE(chat->uses_variable("tools"));
  EXPECT_FALSE(chat->uses_variable("documents"));
}

TEST(ChatTemplate, LeavesUndefinedWhatWasNotGiven) {
  EXPECT_EQ(rendered("{{ bos_token is defined }} {{ tools is none }} {{ documents is none }} {{ messages }}"),
            "False True True []");
  EXPECT_EQ(rendered("{{ tools is none }} {{ x }}",
                     {.tools_json = "[]", .extra_json = R"({"x": 1, "messages": 2})"}),
            "False 1");
}

TEST(ChatTemplate, GivesEqualBytesForEqualInputs) {
  const ChatInput input{.now_seconds = 86400};
  EXPECT_EQ(rendered("{{ strftime_now('%d %b %Y %H:%M') }}", input), "02 Jan 1970 00:00");
  EXPECT_EQ(rendered("{{ strftime_now('%d %b %Y %H:%M') }}", input),
            rendered("{{ strftime_now('%d %b %Y %H:%M') }}", input));
}

}  // namespace
}  // namespace weft
