-- contract: XML

local function nodes(iterator)
  local all = {}
  for node in iterator do all[#all + 1] = node end
  return all
end

local function contents(iterator)
  local all = {}
  for node in iterator do all[#all + 1] = node:contents() end
  return all
end

local function names(iterator)
  local all = {}
  for node in iterator do all[#all + 1] = node:name() end
  return all
end

local BOOKS = [=[
<shop xmlns:m="urn:more" xml:lang="en">
  <book id="1" m:rank="9">One<!-- first --></book>
  <book id="2">Two <b>bold</b> end</book>
  <?print now?>
  <m:extra><![CDATA[<raw>]]></m:extra>
</shop>]=]

describe("mtev.parsexml", function()
  it("gives a document", function()
    local doc = mtev.parsexml("<a/>")
    assert.equal("mtev.xmldoc", tostring(doc))
    assert.equal("a", doc:root():name())
  end)

  it("gives one nil for what is not well-formed", function()
    for _, text in ipairs({ "", " ", "text", "<a>", "<a></b>", "<a/><b/>", "<a x=1/>", "<a>&undefined;</a>", "\0" }) do
      assert.equal(1, select("#", mtev.parsexml(text)))
      assert.is_nil((mtev.parsexml(text)))
    end
    assert.is_nil(mtev.parsexml(12))
  end)

  it("raises for what is no text", function()
    for _, value in ipairs({ {}, true, print }) do
      assert.has_error(function() mtev.parsexml(value) end)
    end
    local ok, message = pcall(mtev.parsexml)
    assert.is_false(ok)
    assert.is_truthy(message:find("bad argument #1 to 'parsexml' (string expected, got nil)", 1, true))
  end)

  it("reads other encodings, gives UTF-8", function()
    local doc = mtev.parsexml('<?xml version="1.0" encoding="iso-8859-1"?><a>\233</a>')
    assert.equal("é", doc:root():contents())
    assert.equal("é", mtev.parsexml('<?xml version="1.0" encoding="utf8"?><a>é</a>'):root():contents())
  end)

  it("resolves entities of the document itself", function()
    local through = mtev.parsexml([[<!DOCTYPE a [<!ENTITY % more "<!ENTITY own 'two'>"> %more;]><a>one &own;</a>]])
    assert.equal("one two", through:root():contents())
    local doc = mtev.parsexml('<!DOCTYPE a [<!ENTITY who "world">]><a>hello &who; &amp; &#65;</a>')
    assert.equal("hello world & A", doc:root():contents())
  end)

  it("refuses entities that grow without bound", function()
    local entities = { '<!ENTITY e0 "lololololololololol">' }
    for i = 1, 9 do entities[#entities + 1] = ('<!ENTITY e%d "%s">'):format(i, (("&e%d;"):format(i - 1)):rep(10)) end
    assert.is_nil(mtev.parsexml("<!DOCTYPE a [" .. table.concat(entities) .. "]><a>&e9;</a>"))
  end)

  it("never reads another file", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write("<!ENTITY inner 'secret'>secret")
    file:close()
    local url = "file://" .. name
    for _, text in ipairs({
      '<!DOCTYPE a [<!ENTITY e SYSTEM "%s">]><a>&e;</a>',
      '<!DOCTYPE a [<!ENTITY % p SYSTEM "%s"> %p;]><a>&inner;</a>',
      '<!DOCTYPE a SYSTEM "%s"><a>&inner;</a>',
      '<!DOCTYPE a [<!ENTITY e SYSTEM "%s">]><a b="&e;"/>',
    }) do
      local doc = mtev.parsexml((text:gsub("%%s", url)))
      assert.is_falsy(doc and doc:tostring():gsub("file://%S+", ""):find("secret", 1, true))
      assert.is_falsy(doc and doc:root():contents():find("secret", 1, true))
    end
    local doc = mtev.parsexml(('<!DOCTYPE a SYSTEM "%s"><a>fine</a>'):format(url))
    assert.equal("fine", doc:root():contents())
    local include = mtev.parsexml(([[<a xmlns:xi="http://www.w3.org/2001/XInclude">
      <xi:include href="%s" parse="text"/></a>]]):format(url))
    assert.is_falsy(include:tostring():find("secret", 1, true))
    os.remove(name)
  end)
end)

describe("xmldoc:tostring", function()
  it("writes a declaration and indents by two", function()
    assert.equal('<?xml version="1.0" encoding="utf8"?>\n<a>\n  <b>\n    <c/>\n  </b>\n</a>\n',
      mtev.parsexml("<a><b><c></c></b></a>"):tostring())
  end)

  it("leaves text as it is", function()
    assert.equal('<?xml version="1.0" encoding="utf8"?>\n<a>x<b><c/></b>é &lt;<![CDATA[<]]></a>\n',
      mtev.parsexml("<a>x<b><c/></b>é &lt;<![CDATA[<]]></a>"):tostring())
  end)

  it("keeps what stands around the root", function()
    local text = '<?xml version="1.0" encoding="utf8" standalone="yes"?>\n<!--before-->\n<a/>\n<?after all?>\n'
    assert.equal(text, mtev.parsexml(text):tostring())
  end)
end)

describe("xmldoc:xpath", function()
  local doc = mtev.parsexml(BOOKS)

  it("iterates over elements, text, attributes and comments", function()
    assert.same({ "1", "2" }, contents(doc:xpath("//book/@id")))
    assert.same({ "id", "id" }, names(doc:xpath("//book/@id")))
    assert.same({ "One", "Two bold end" }, contents(doc:xpath("//book")))
    assert.same({ "One", "Two ", "bold", " end" }, contents(doc:xpath("//book//text()")))
    assert.same({ " first " }, contents(doc:xpath("//comment()")))
    assert.same({ "print" }, names(doc:xpath("//processing-instruction()")))
    assert.same({ "<raw>" }, contents(doc:xpath("//*[local-name()='extra']")))
  end)

  it("starts from a node, or from the root", function()
    local second = nodes(doc:xpath("//book"))[2]
    assert.same({ "bold" }, contents(doc:xpath("b", second)))
    assert.same({ "1", "2" }, contents(doc:xpath("//book/@id", second)))
    assert.same({ "shop" }, names(doc:xpath("..", second)))
    assert.same({ "One", "Two bold end" }, contents(doc:xpath("book")))
    assert.same({ "One", "Two bold end" }, contents(doc:xpath("book", nil)))
  end)

  it("iterates over nothing where there are no nodes", function()
    for _, expression in ipairs({ "//none", "count(//book)", "'text'", "true()", "1 div 0", "", "][", "//x:y",
      "f()" }) do
      assert.same({}, nodes(doc:xpath(expression)))
    end
  end)

  it("gives a text with CDATA in it once", function()
    assert.same({ "a<b>c" }, contents(mtev.parsexml("<r>a<![CDATA[<b>]]>c</r>"):xpath("//text()")))
  end)

  it("raises for wrong arguments", function()
    local other = nodes(doc:xpath("//@id"))[1]
    for _, arguments in ipairs({ {}, { {} }, { "//a", "b" }, { "//a", {} }, { "//a", doc }, { "//a", other } }) do
      assert.has_error(function() doc:xpath(arguments[1], arguments[2]) end)
    end
    assert.has_error(function() doc:xpath("//\255") end)
    assert.has_error(function() doc.xpath("//a") end)
  end)

  it("serves very many nodes", function()
    local parts = {}
    for i = 1, 5000 do parts[i] = ("<n i='%d'>%d</n>"):format(i, i * 2) end
    local many, n = mtev.parsexml("<r>" .. table.concat(parts) .. "</r>"), 0
    for node in many:xpath("//n") do
      n = n + 1
      if node:attr("i") ~= tostring(n) or node:contents() ~= tostring(n * 2) or node:name() ~= "n" then error(n) end
    end
    assert.equal(5000, n)
    local all = nodes(many:xpath("//n"))
    assert.equal("10000", all[5000]:contents())
    assert.equal("2", all[1]:contents())
    assert.equal("4998", all[2499]:contents())
  end)
end)

describe("an xmlnode", function()
  it("has a name without its prefix", function()
    local root = mtev.parsexml(BOOKS):root()
    assert.equal("shop", root:name())
    assert.same({ "text", "book", "text", "book", "text", "print", "text", "extra", "text" }, names(root:children()))
  end)

  it("has contents: all the text inside of it, in order", function()
    local root = mtev.parsexml("<a>x<b>y<!--no--><?nor this?><c>z</c></b>w</a>"):root()
    assert.equal("xyzw", root:contents())
    assert.equal("", mtev.parsexml("<a/>"):root():contents())
  end)

  it("sets its contents", function()
    local doc = mtev.parsexml("<a>x<b id='1'>y</b>z</a>")
    local b = doc:xpath("//b")()
    assert.equal(0, select("#", b:contents("<&é>")))
    assert.equal("<&é>", b:contents())
    assert.equal("1", b:attr("id"))
    assert.equal("x<&é>z", doc:root():contents())
    b:contents(5)
    assert.equal("5", b:contents())
    doc:root():contents("")
    assert.equal("", doc:root():contents())
    assert.same({}, nodes(doc:root():children()))
    assert.equal("5", b:contents()) -- not in the document any more, but whole
  end)

  it("sets the contents of text, attributes and comments", function()
    local doc = mtev.parsexml("<a k='v'>x<b/>y<!--c--></a>")
    for node in doc:root():children() do
      if node:name() == "text" then node:contents("<" .. node:contents() .. ">") end
      if node:name() == "comment" then node:contents("changed") end
    end
    doc:xpath("/a/@k")():contents("w")
    assert.equal('<a k="w">&lt;x&gt;<b/>&lt;y&gt;<!--changed--></a>\n', doc:tostring():match("\n(.*)"))
  end)

  it("raises for contents that XML cannot hold", function()
    local root = mtev.parsexml("<a>kept<b/></a>"):root()
    for _, value in ipairs({ "\0", "\1", "\255", {}, false }) do
      assert.has_error(function() root:contents(value) end)
    end
    assert.has_error(function() root:contents(nil) end)
    assert.equal("kept", root:contents())
    assert.equal(2, #nodes(root:children()))
  end)

  it("reads, sets and removes attributes", function()
    local doc = mtev.parsexml("<a one='1' two='é'/>")
    local root = doc:root()
    assert.equal("1", root:attr("one"))
    assert.equal("é", root:attribute("two"))
    assert.is_nil(root:attr("three"))
    assert.is_nil(root:attr(""))
    assert.is_nil(root:attr("one\0"))
    assert.is_nil(root:attr("\1"))
    assert.is_nil(root:attr("\255"))
    assert.equal(0, select("#", root:attr("three", 3)))
    assert.equal("3", root:attr("three"))
    root:attribute("one", "")
    assert.equal("", root:attr("one"))
    root:attr("two", nil)
    root:attr("never there", nil)
    assert.is_nil(root:attr("two"))
    assert.equal('<a one="" three="3"/>\n', doc:tostring():match("\n(.*)"))
  end)

  it("finds attributes of a namespace by their local name, and by prefix", function()
    local root = mtev.parsexml(BOOKS):root()
    local book = root:children()():next()
    assert.equal("9", book:attr("rank"))
    assert.equal("9", book:attr("m:rank"))
    assert.equal("en", root:attr("lang"))
    root:attr("xml:lang", "de")
    assert.equal("de", root:attr("xml:lang"))
    book:attr("m:rank", nil)
    assert.is_nil(book:attr("rank"))
    book:attr("nowhere:x", nil)
    assert.has_error(function() book:attr("nowhere:x", "1") end)
  end)

  it("raises for wrong attributes", function()
    local doc = mtev.parsexml("<a k='v'>text</a>")
    local root = doc:root()
    for _, name in ipairs({ "", "a b", "<", "\255", "{urn:x}y", ":" }) do
      assert.has_error(function() root:attr(name, "x") end)
    end
    assert.has_error(function() root:attr("k", "\0") end)
    assert.has_error(function() root:attr("k", {}) end)
    assert.has_error(function() root:attr() end)
    assert.has_error(function() root:attr({}) end)
    local text = root:children()()
    assert.is_nil(text:attr("k"))
    assert.has_error(function() text:attr("k", "x") end)
    assert.equal("v", root:attr("k"))
  end)

  it("has children: elements, text, comments and instructions", function()
    local root = mtev.parsexml("<a>x<b><c/></b>y<!--z--><?p q?></a>"):root()
    assert.same({ "x", "", "y", "z", "q" }, contents(root:children()))
    local children = nodes(root:children())
    assert.same({ "c" }, names(children[2]:children()))
    for _, i in ipairs({ 1, 4, 5 }) do assert.same({}, nodes(children[i]:children())) end
  end)

  it("goes to its next sibling", function()
    local doc = mtev.parsexml("<a>x<b/>y<!--z--></a><?end?>")
    local seen, node = {}, doc:root():children()()
    while node do
      seen[#seen + 1] = node:name()
      node = node:next()
    end
    assert.same({ "text", "b", "text", "comment" }, seen)
    assert.equal("y", doc:xpath("//b")():next():contents())
    assert.equal("b", doc:xpath("//text()")():next():name())
    assert.equal("end", doc:root():next():name())
    assert.is_nil(doc:root():next():next())
    assert.is_nil(mtev.parsexml("<a b='1' c='2'/>"):xpath("//@b")():next())
  end)

  it("goes through many siblings", function()
    local doc = mtev.parsexml("<a><b/>" .. ("<c/>"):rep(1000) .. "</a>")
    local count, node = 0, doc:xpath("//b")():next()
    while node do count, node = count + 1, node:next() end
    assert.equal(1000, count)
  end)

  it("adds children", function()
    local doc = mtev.parsexml("<a><b/></a>")
    local child = doc:root():addchild("c")
    assert.equal("c", child:name())
    child:contents("new")
    child:addchild("d"):attr("k", "v")
    assert.equal("<a>\n  <b/>\n  <c>new<d k=\"v\"/></c>\n</a>\n", doc:tostring():match("\n(.*)"))
    assert.same({ "b", "c" }, names(doc:root():children()))
    assert.is_nil(child:next())
    assert.equal("c", doc:xpath("//b")():next():name())
  end)

  it("adds children in the namespace of the parent", function()
    local doc = mtev.parsexml('<a xmlns="urn:a" xmlns:m="urn:m"/>')
    doc:root():addchild("b")
    doc:root():addchild("m:c")
    assert.equal('<a xmlns="urn:a" xmlns:m="urn:m">\n  <b/>\n  <m:c/>\n</a>\n', doc:tostring():match("\n(.*)"))
  end)

  it("raises for children that cannot be", function()
    local root = mtev.parsexml("<a>text</a>"):root()
    for _, name in ipairs({ "", "a b", "1", "<b>", "nowhere:b", "{urn:x}b", "\255", {}, true }) do
      assert.has_error(function() root:addchild(name) end)
    end
    assert.has_error(function() root:addchild() end)
    assert.has_error(function() root:children()():addchild("b") end)
    assert.equal(1, #nodes(root:children()))
  end)

  it("sees what is changed through another node", function()
    local doc = mtev.parsexml("<a><b k='1'>x</b><b k='2'>y</b></a>")
    local before = nodes(doc:xpath("//b"))
    assert.equal("y", before[2]:contents())
    assert.equal("2", before[2]:attr("k"))
    local again = nodes(doc:xpath("//b"))
    again[2]:contents("changed")
    again[2]:attr("k", nil)
    assert.equal("changed", before[2]:contents())
    assert.is_nil(before[2]:attr("k"))
    assert.equal("x", before[1]:contents())
    before[1]:contents("too")
    assert.equal("too", again[1]:contents())
    assert.equal("toochanged", doc:root():contents())
  end)

  it("can be changed while it is iterated over", function()
    local doc = mtev.parsexml("<a>" .. ("<b/>"):rep(100) .. "</a>")
    local n = 0
    for node in doc:xpath("//b") do
      n = n + 1
      assert.equal("", node:contents())
      node:contents(n)
      doc:root():addchild("c")
    end
    assert.equal(100, n)
    assert.equal(200, #nodes(doc:root():children()))
  end)

  it("keeps its document", function()
    local function first() return mtev.parsexml("<a><b>x</b></a>"):xpath("//b")() end
    local node = first()
    collectgarbage()
    collectgarbage()
    assert.equal("x", node:contents())
    assert.equal("b", node:name())
  end)

  it("has no other members, and methods need a colon", function()
    local doc = mtev.parsexml("<a/>")
    assert.has_error(function() return doc.nothing end)
    assert.has_error(function() return doc:root().nothing end)
    for _, object in ipairs({ doc, doc:root() }) do
      local ok, message = pcall(function() return object.unheard_of end)
      assert.is_false(ok)
      assert.is_truthy(message:find(tostring(object) .. " no such element: unheard_of", 1, true))
    end
    local ok, message = pcall(doc:root().name)
    assert.is_false(ok)
    assert.is_truthy(message:find("must be called as method", 1, true))
    assert.has_error(function() doc.root() end)
    assert.has_error(function() doc.tostring(doc:root()) end)
  end)
end)
