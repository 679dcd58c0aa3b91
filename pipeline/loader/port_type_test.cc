#include "pipeline/loader/port_type.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(PortType, KnowsTheContractsTypesListsAndOwnTypes) {
  for (const char* type : {"bool", "int", "float", "text", "json", "path", "bytes", "tensor", "image", "any",
                           "list<text>", "list<image>", "image.latent", "list<image.latent>"}) {
    EXPECT_TRUE(is_port_type(type)) << type;
  }
  for (const char* type : {"", "txet", "latent", "Text", "list<>", "list<any>", "list<list<text>>",
                           "list<text", "image.", ".latent", "image..latent", "image.Latent", "text "}) {
    EXPECT_FALSE(is_port_type(type)) << type;
  }
}

TEST(PortType, FlowsIntoItselfAnyAndTheWiderType) {
  EXPECT_TRUE(port_type_satisfies("path", "text"));
  EXPECT_TRUE(port_type_satisfies("int", "float"));
  EXPECT_TRUE(port_type_satisfies("list<text>", "any"));
  EXPECT_FALSE(port_type_satisfies("text", "path"));
  EXPECT_FALSE(port_type_satisfies("float", "int"));
  EXPECT_FALSE(port_type_satisfies("list<path>", "list<text>"));
  EXPECT_FALSE(port_type_satisfies("any", "text"));
}

TEST(PortType, NamesTheElementOfAList) {
  EXPECT_EQ(list_element_type("list<text>"), "text");
  EXPECT_EQ(list_element_type("text"), "");
}

TEST(Identifier, StartsWithALetterAndIsNotLong) {
  EXPECT_TRUE(is_identifier("top_k2"));
  for (const std::string& name : {std::string(), std::string("2a"), std::string("_a"), std::string("a-b"),
                                  std::string("A"), std::string(65, 'a'), std::string("a\0b", 3)}) {
    EXPECT_FALSE(is_identifier(name)) << name;
  }
  EXPECT_TRUE(is_identifier(std::string(64, 'a')));
}

}  // namespace
}  // namespace weft
