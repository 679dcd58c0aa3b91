#include "pipeline/memory/value_codec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/files/content_hash.h"
#include "pipeline/memory/buffer.h"
#include "pipeline/memory/tensor_layout.h"
#include "pipeline/memory/value_json.h"

namespace weft {
namespace {

std::string encoded(const Value& value) {
  std::string bytes;
  const Status status = encode_value(value, [&](std::string_view piece) { bytes += piece; });
  EXPECT_TRUE(status.ok());
  return bytes;
}

std::vector<Value> samples(Pool& pool) {
  return {Value::boolean(1),
          Value::integer(-3),
          Value::real(0.1),
          *Value::text("gr\xc3\xbc\xc3\x9f"),
          *Value::bytes("\xff", "bytes", "image/png"),
          *value_from_json(R"({"dtype":"f32","shape":[2,2],"data":[1,2,3,4],"attributes":{"a":1}})", "latent",
                           pool),
          *value_from_json(R"({"dtype":"u8","shape":[0],"data":[]})", "tensor", pool),
          *value_from_json(R"(["a","bb"])", "list<text>", pool)};
}

TEST(ValueCodec, EveryKindSurvives) {
  CpuPool pool;
  for (const Value& value : samples(pool)) {
    const std::string bytes = encoded(value);
    std::string_view rest = bytes;
    auto decoded = decode_value(rest, pool);
    ASSERT_TRUE(decoded.ok()) << value.type();
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(decoded->type(), value.type());
    EXPECT_EQ(encoded(*decoded), bytes);
    EXPECT_EQ(value_to_json(*decoded, 100), value_to_json(value, 100));
  }
}

TEST(ValueCodec, EveryTruncationAndEveryChangedByteIsHandled) {
  CpuPool pool;
  for (const Value& value : samples(pool)) {
    const std::string bytes = encoded(value);
    for (size_t size = 0; size < bytes.size(); ++size) {
      std::string_view rest(bytes.data(), size);
      EXPECT_EQ(decode_value(rest, pool).code(), StatusCode::kCorruptData)
          << value.type() << " cut at " << size;
    }
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (const char flipped : {'\x00', '\x7f', '\xff'}) {
        std::string changed = bytes;
        changed[i] = flipped;
        std::string_view rest = changed;
        const auto decoded = decode_value(rest, pool);  // any answer but a crash or a huge allocation
        if (decoded.ok()) {
          EXPECT_LE(decoded->content_bytes(), changed.size());
        }
      }
    }
  }
}

TEST(ValueCodec, StridesDoNotChangeTheContent) {
  CpuPool pool;
  auto buffer = allocate_buffer(pool, 6 * 4, 0, nullptr, "t");
  auto* elements = static_cast<int32_t*>(buffer->data());
  for (int i = 0; i < 6; ++i) elements[i] = i;
  weft_tensor transposed = row_major(elements, WEFT_DTYPE_I32, std::vector<int64_t>{3, 2});
  transposed.strides[0] = 1;
  transposed.strides[1] = 3;
  weft_value* handle = nullptr;
  ASSERT_EQ(value_api()->make_tensor(buffer->get(), &transposed, "tensor", nullptr, &handle), WEFT_OK);
  const Value strided = Value::adopt(handle);
  auto plain = value_from_json(R"({"dtype":"i32","shape":[3,2],"data":[0,3,1,4,2,5]})", "tensor", pool);
  EXPECT_EQ(encoded(strided), encoded(*plain));
  EXPECT_EQ(*content_xxh128(strided), *content_xxh128(*plain));
}

TEST(ContentHash, OfTextEqualsThatOfAFileWithIt) {
  EXPECT_EQ(*content_sha256(*Value::text("abc")), sha256_of_text("abc"));
}

TEST(ContentHash, TellsTypesApart) {
  EXPECT_NE(*content_xxh128(*Value::text("1")), *content_xxh128(*Value::bytes("1", "json")));
  EXPECT_NE(*content_xxh128(Value::integer(1)), *content_xxh128(Value::real(1)));
  EXPECT_NE(*content_xxh128(*Value::list({}, "text")), *content_xxh128(*Value::list({}, "int")));
}

}  // namespace
}  // namespace weft
